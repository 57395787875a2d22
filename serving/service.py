"""The service: rank, score and embed with the version on stage, and take what became of it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Iterator
from typing import Any

import bentoml
from assay.serving.api import answers, contract, routes
from assay.serving.api.contract import LIMITS
from assay.serving.door.door import Door
from assay.serving.door.keys import Keys
from assay.serving.door.refused import Refused
from assay.serving.runtime import Runtime
from assay.serving.telemetry.observed import INSTEAD_OF_BENTOML, Observed
from assay.serving.telemetry.telemetry import Telemetry
from bentoml import server_context
from pydantic import BaseModel
from starlette.responses import Response

logger = logging.getLogger("bentoml.assay")
TELEMETRY = Telemetry.from_environment()
RUNTIME = Runtime(LIMITS, TELEMETRY)


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
    # One worker: a forward pass uses every core it is given, and two would only share them.
    workers=1,
    **INSTEAD_OF_BENTOML,
)
class Assay:
    """Ranks, scores and embeds with the version on stage."""

    @bentoml.on_startup
    async def start(self) -> None:
        """Open what is to be served, warm it up, and be ready."""
        with _or_stop():
            await RUNTIME.start()

    @bentoml.on_shutdown
    async def end(self) -> None:
        """Answer what waits, and keep what was told."""
        await RUNTIME.close()

    async def __is_ready__(self) -> bool:
        """What `/readyz` answers: true after the warm-up, false once the end was asked for."""
        return RUNTIME.ready

    async def __is_alive__(self) -> bool:
        """What `/livez` answers: false where the batcher ended by a fault; a new start helps then."""
        return RUNTIME.batcher.alive

    @bentoml.api(route="/rank")
    async def rank(self, request: contract.RankRequest, /) -> answers.RankAnswer:
        """Order the candidates of one list for its context, the best first."""
        return await _said(routes.rank(RUNTIME, request))

    @bentoml.api(route="/v1/rerank")
    async def rerank(self, request: contract.RerankRequest, /) -> answers.RerankAnswer:
        """Order documents for a query, in the shape of Cohere's and Jina's rerankers."""
        return await _said(routes.rerank(RUNTIME, request))

    @bentoml.api(route="/score")
    async def score(self, request: contract.ScoreRequest, /) -> answers.ScoreAnswer:
        """Score (context, text) pairs, in their order."""
        return await _said(routes.score(RUNTIME, request))

    @bentoml.api(route="/embed")
    async def embed(self, request: contract.EmbedRequest, /) -> answers.EmbedAnswer:
        """Vectors of texts, in their order, by the encoder of this version."""
        return await _said(routes.embed(RUNTIME, request))

    @bentoml.api(route="/feedback")
    async def feedback(self, request: contract.FeedbackRequest, /) -> answers.FeedbackAnswer:
        """Keep what was shown, clicked and bought; what is answered outlives this process."""
        return await _said(routes.feedback(RUNTIME, request))

    @bentoml.api(route="/info")
    async def info(self, request: contract.InfoRequest, /) -> answers.InfoAnswer:
        """What is served, and the limits of a request."""
        return await _said(routes.info(RUNTIME))


async def _said(work: Awaitable[BaseModel]) -> Any:
    """The answer of a route, or why there is none; BentoML would make a 500 of that."""
    TELEMETRY.parsed()
    try:
        answer = await work
    except Refused as refused:
        RUNTIME.rejected(refused.reason)
        headers = {name.decode(): value.decode() for name, value in refused.headers}
        return Response(refused.body, refused.status, headers)
    with TELEMETRY.stage("respond"):
        return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


# The first that is added is the outermost.
Assay.add_asgi_middleware(Observed, telemetry=TELEMETRY)  # type: ignore[attr-defined]
Assay.add_asgi_middleware(Door, limits=LIMITS, keys=Keys.from_environment(), inside=RUNTIME)  # type: ignore[attr-defined]
