"""What is sent: titles of the simulated store, distinct so that no cache helps, as each server takes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from assay.examples.store.catalogue import make_catalogue
from assay.examples.store.config import StoreConfig
from assay.examples.store.queries import make_queries

from .wire import Answer, request

CANDIDATES = 20
"""Of one `/rank`."""

MODEL = "minilm"
"""Name that peers with a list of models know MiniLM by."""

STORE = StoreConfig(queries=40_000)
"""Whose catalogue has nearly 60,000 distinct titles."""


@cache
def titles() -> list[str]:
    """Distinct product titles, 6 words on average, in random order."""
    return np.random.default_rng(0).permutation(make_catalogue(STORE)["title"].unique()).tolist()


@cache
def queries() -> list[str]:
    """Distinct queries."""
    config = StoreConfig(queries=2_000)
    return make_queries(config, make_catalogue(config))["query"].tolist()


def post(path: str, headers: dict[str, str] | None = None, **body: Any) -> bytes:
    """The bytes of a JSON request."""
    return request(path, json.dumps(body, ensure_ascii=False).encode(), headers=headers)


class Texts:
    """Texts in an order in which none comes twice before all came once, across every load of a run."""

    def __init__(self) -> None:
        self._titles, self._queries = _for_ever(titles()), _for_ever(queries())

    def title(self) -> str:
        """The next title."""
        return next(self._titles)

    def query(self) -> str:
        """The next query."""
        return next(self._queries)

    def embeds(self, form: Callable[[str], bytes], n: int) -> list[bytes]:
        """Requests for the vector of one title each."""
        return [form(self.title()) for _ in range(n)]

    def ranks(self, n: int, headers: dict[str, str] | None = None) -> list[bytes]:
        """`/rank` of one query and 20 titles each."""
        return [rank(self.query(), [self.title() for _ in range(CANDIDATES)], headers) for _ in range(n)]

    def scores(self, n: int, headers: dict[str, str] | None = None) -> list[bytes]:
        """`/score` of one pair each; one query for 20 in a row, as a caller without `/rank` would send."""
        found = []
        for number in range(n):
            if number % CANDIDATES == 0:
                query = self.query()
            found.append(score([(query, self.title())], headers))
        return found

    def reranks(self, n: int) -> list[bytes]:
        """`/v1/rerank` of one query and 20 titles each."""
        return [rerank(self.query(), [self.title() for _ in range(CANDIDATES)]) for _ in range(n)]


def _for_ever(texts: list[str]) -> Iterator[str]:
    while True:
        yield from texts


def rank(context: str, titles: list[str], headers: dict[str, str] | None = None) -> bytes:
    """Of our `/rank`."""
    candidates = [{"id": str(number), "text": title} for number, title in enumerate(titles)]
    return post("/rank", headers, context=context, candidates=candidates)


def score(pairs: list[tuple[str, str]], headers: dict[str, str] | None = None) -> bytes:
    """Of our `/score`."""
    return post("/score", headers, pairs=[{"context": context, "text": text} for context, text in pairs])


def rerank(query: str, documents: list[str]) -> bytes:
    """Of our `/v1/rerank`."""
    return post("/v1/rerank", query=query, documents=documents, top_n=len(documents))


def embed(text: str) -> bytes:
    """Of our `/embed`; the small peers take the same."""
    return post("/embed", texts=[text])


def embed_openai(text: str) -> bytes:
    """Of `/embeddings` in OpenAI's form, as infinity takes it."""
    return post("/embeddings", model=MODEL, input=[text])


def vector(answer: Answer) -> np.ndarray:
    """The first vector of an answer in any of the forms, (d,) float64."""
    body = json.loads(answer.body)
    if isinstance(body, list):
        return np.array(body[0])
    return np.array(body["vectors"][0] if "vectors" in body else body["data"][0]["embedding"])
