"""What a caller sends and gets back: the bodies of the routes, validated."""

from __future__ import annotations

from typing import Annotated

import bentoml
from assay.serving.limits import Limits
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

LIMITS = Limits.from_environment()
"""Those of this process, read once."""

MAX_ID = 512
"""Characters of an item id."""

Context = Annotated[
    str,
    StringConstraints(max_length=LIMITS.characters),
    Field(description="A query, a history as text, a placement. May be empty, as it may be in the samples."),
]


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is blank")
    return text


Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LIMITS.characters),
    # `ingest` drops rows whose item is blank: no ranker has learnt what they are worth.
    AfterValidator(_not_blank),
    Field(description="Text that is not blank."),
]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID), Field(coerce_numbers_to_str=True)]
_many = Field(min_length=1, max_length=LIMITS.items)

_strict = ConfigDict(
    extra="forbid",  # A misspelt field is told, not ignored.
    hide_input_in_errors=True,  # Errors are logged, and logs hold no user text.
    frozen=True,
)


class Item(BaseModel):
    """One candidate."""

    model_config = _strict
    item_id: ItemId
    item: Text


class Pair(BaseModel):
    """One row to be scored."""

    model_config = _strict
    context: Context
    item: Text


class RankRequest(bentoml.IODescriptor):
    """Body of `/rank`: one group."""

    model_config = _strict
    context: Context
    items: Annotated[list[Item], _many]
    top_k: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None, description="How many to give back; all if left out."
    )

    @field_validator("items")
    @classmethod
    def _ids_are_distinct(cls, items: list[Item]) -> list[Item]:
        # Two items with one id cannot be told apart in the answer, nor their tie be broken.
        if len({item.item_id for item in items}) < len(items):
            raise ValueError("two items have the same item_id")
        return items


class ScoreRequest(bentoml.IODescriptor):
    """Body of `/score`."""

    model_config = _strict
    pairs: Annotated[list[Pair], _many]


class EmbedRequest(bentoml.IODescriptor):
    """Body of `/embed`."""

    model_config = _strict
    texts: Annotated[list[Text], _many]


class InfoRequest(bentoml.IODescriptor):
    """Body of `/info`: empty."""

    model_config = _strict


class Ranked(BaseModel):
    """One item of an answer; `score` is the ranker's logit, higher is more relevant."""

    item_id: str
    score: float


class RankResponse(BaseModel):
    """Items by falling score, ties by `item_id`."""

    name: str
    version: str
    items: list[Ranked]


class ScoreResponse(BaseModel):
    """One score a pair, in the order of the pairs."""

    name: str
    version: str
    scores: list[float]


class EmbedResponse(BaseModel):
    """One vector of length 1 a text, in the order of the texts; made by the encoder, not by the ranker."""

    name: str
    version: str
    vectors: list[list[float]]


class InfoResponse(BaseModel):
    """What is served."""

    name: str
    version: str
    kind: str
    sha256: dict[str, str]
    dimensions: int
    limits: dict[str, int]
