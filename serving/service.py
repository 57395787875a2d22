"""The service: rank, score and embed with one fixed model version."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import bentoml
from assay.serving import environment
from assay.serving.api.contract import (
    LIMITS,
    EmbedRequest,
    EmbedResponse,
    InfoRequest,
    InfoResponse,
    RankRequest,
    RankResponse,
    ScoreRequest,
    ScoreResponse,
)
from assay.serving.door.door import Door
from assay.serving.engine.scoring import best_first, each_once, score_rows
from assay.serving.image.bento import MODEL_ALIAS
from assay.serving.telemetry.log_privacy import keep_user_text_out
from assay.serving.versions.bundle import Bundle
from bentoml import server_context

logger = logging.getLogger("bentoml.assay")
keep_user_text_out()


def bundle_folder() -> Path:
    """Folder of the bundle: `ASSAY_BUNDLE`, or the model that the bento was built with."""
    if named := os.environ.get(environment.BUNDLE):
        return Path(named)
    return Path(bentoml.models.get(MODEL_ALIAS).path)


@contextlib.contextmanager
def _or_stop() -> Iterator[None]:
    """What fails here fails for good, so end the supervisor: it would start the worker again for ever."""
    try:
        yield
    except Exception as error:
        logger.error("cannot start: %s", error)
        if server_context.worker_index is not None:
            os.kill(os.getppid(), signal.SIGTERM)
        raise


@bentoml.service(
    name="assay",
    # One worker and one thread: a forward pass uses every core it is given, and two would only share them.
    workers=1,
    threads=1,
    traffic={"timeout": LIMITS.timeout_seconds, "max_concurrency": LIMITS.concurrency},
)
class Assay:
    """Ranks, scores and embeds with one model version, which never changes while the service runs."""

    def __init__(self) -> None:
        # Imported here: BentoML also imports this module where no model is opened.
        from assay.components.core.ranker import TextEncoder, open_ranker
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.ready = False
        with _or_stop():
            self.bundle = Bundle.open(bundle_folder())
            self.ranker = open_ranker(self.bundle.ranker)
            self.encoder = TextEncoder(self.bundle.encoder)
        self.named = {"name": self.bundle.name, "version": self.bundle.version}
        logger.info("%s version %s opened, weights checked", self.bundle.name, self.bundle.version)

    @bentoml.on_startup
    def warm_up(self) -> None:
        """Use every part once, so that the first caller does not pay for it, and be ready.

        Raises:
            RuntimeError: A score or a vector is not a number: these weights cannot rank.
        """
        import numpy as np

        started = time.perf_counter()
        # From one token to the longest row: an allocator learns sizes, a broken tokenizer shows.
        texts = ["warm", "warm up " * 8, "warm up " * 256]
        with _or_stop():
            scores = score_rows(self.ranker, list(zip(texts, texts, strict=True)), LIMITS.batch_tokens)
            vectors = self.encoder.encode(texts)
            if not (np.isfinite(scores).all() and np.isfinite(vectors).all()):
                raise RuntimeError(f"{self.named} gives scores that are not finite numbers")
        self.ready = True
        logger.info("warmed up in %.1f s", time.perf_counter() - started)

    async def __is_ready__(self) -> bool:
        """What `/readyz` answers: true after the warm-up."""
        return self.ready

    @bentoml.api(route="/rank")
    def rank(self, request: RankRequest, /) -> RankResponse:
        """Order the items of one group for its context, the most relevant first."""
        rows = [(request.context, item.item) for item in request.items]
        ranked = best_first(request.items, score_rows(self.ranker, rows, LIMITS.batch_tokens).tolist())
        return RankResponse(**self.named, items=ranked[: request.top_k])

    @bentoml.api(route="/score")
    def score(self, request: ScoreRequest, /) -> ScoreResponse:
        """Score (context, item) pairs, in their order."""
        rows = [(pair.context, pair.item) for pair in request.pairs]
        return ScoreResponse(**self.named, scores=score_rows(self.ranker, rows, LIMITS.batch_tokens).tolist())

    @bentoml.api(route="/embed")
    def embed(self, request: EmbedRequest, /) -> EmbedResponse:
        """Vectors of texts, in their order, by the encoder of this version."""
        vectors = each_once(request.texts, lambda texts: self.encoder.encode(texts, LIMITS.batch_tokens))
        return EmbedResponse(**self.named, vectors=vectors.tolist())

    @bentoml.api(route="/info")
    async def info(self, request: InfoRequest, /) -> InfoResponse:
        """What is served, and the limits of a request."""
        return InfoResponse(
            **self.named,
            kind=self.bundle.kind,
            sha256=self.bundle.sha256,
            dimensions=self.encoder.model.config.hidden_size,
            limits=asdict(LIMITS),
        )


Assay.add_asgi_middleware(Door, max_bytes=LIMITS.body_bytes)  # type: ignore[attr-defined]
