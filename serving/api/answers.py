"""What a caller gets back: the bodies of the answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Ranked(BaseModel):
    """One item of an answer; `score` is the ranker's logit, higher is more relevant."""

    id: str
    score: float


class RankAnswer(BaseModel):
    """Items, the best first: by falling score, ties by id, unless diversity or exploration was asked for.

    `truncated` names the items whose text, or whose context, was cut before it was read.
    """

    name: str
    version: str
    query_id: str
    items: list[Ranked]
    truncated: list[str]


class ScoreAnswer(BaseModel):
    """One score a pair, in the order of the pairs; `truncated` are the places of pairs that were cut."""

    name: str
    version: str
    scores: list[float]
    truncated: list[int]


class EmbedAnswer(BaseModel):
    """One vector of length 1 a text, in the order of the texts; made by the encoder, not by the ranker."""

    name: str
    version: str
    vectors: list[list[float]]
    truncated: list[int]


class RerankDocument(BaseModel):
    """A document of a result."""

    text: str


class RerankResult(BaseModel):
    """`index` among the documents; `relevance_score` is the sigmoid of the score, in (0, 1)."""

    index: int
    relevance_score: float
    document: RerankDocument | None = None


class RerankAnswer(BaseModel):
    """Results, the best first, in the shape that clients of Cohere and Jina read."""

    id: str
    model: str
    results: list[RerankResult]
    meta: dict[str, Any]


class FeedbackAnswer(BaseModel):
    """Events that are kept now, and how many of them were there already."""

    accepted: int
    duplicates: int


class InfoAnswer(BaseModel):
    """What is served, and what may be asked."""

    name: str
    version: str
    kind: str
    backend: str
    sha256: dict[str, str]
    dimensions: int
    limits: dict[str, int]
    versions: dict[str, Any]
    feedback: bool
