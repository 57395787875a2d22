"""A BentoML service that does nothing, observed as ours is."""

from __future__ import annotations

import asyncio
import logging

import bentoml
from assay.serving.telemetry.observed import INSTEAD_OF_BENTOML, Observed
from assay.serving.telemetry.request import current
from assay.serving.telemetry.telemetry import Model, Telemetry
from pydantic import BaseModel

telemetry = Telemetry.from_environment()
logger = logging.getLogger("assay.noop")


class Texts(BaseModel):
    texts: list[str]


@bentoml.service(name="noop", workers=1, threads=1, **INSTEAD_OF_BENTOML)
class Noop:
    def __init__(self) -> None:
        telemetry.start()

    @bentoml.on_startup
    def warm_up(self) -> None:
        telemetry.models(Model("assay-search", "3", "onnx-int8", "44c9"))
        telemetry.ready(True)
        logger.info("warmed up", extra={"version": "3"})

    @bentoml.on_shutdown
    def end(self) -> None:
        telemetry.close()

    @bentoml.api(route="/score")
    async def score(self, body: Texts, /) -> list[float]:
        """What a real one does: tokenise, wait, compute on another thread."""
        telemetry.parsed()
        with telemetry.stage("tokenise"):
            rows = [len(text) for text in body.texts]
        telemetry.took("queue", 0.001, current.get())
        request = current.get()

        def compute() -> list[float]:
            padded = len(rows) * max(rows)
            telemetry.computed(len(rows), sum(rows), padded, "3", 0.002, [request, request])
            return [float(row) for row in rows]

        return await asyncio.to_thread(compute)

    @bentoml.api(route="/rank")
    async def rank(self, body: Texts, /) -> list[float]:
        """Fails with the caller's text in the message."""
        telemetry.rejected("invalid")
        raise RuntimeError(f"cannot read {body.texts}")


Noop.add_asgi_middleware(Observed, telemetry=telemetry)  # type: ignore[attr-defined]
