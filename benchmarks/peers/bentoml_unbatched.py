"""A BentoML service as its examples write one, without `batchable`.

`bentoml serve bentoml_unbatched:Embed`, the folder of the weights in MODEL.
"""

from __future__ import annotations

import os

import bentoml


@bentoml.service(name="embed", workers=1, traffic={"timeout": 60})
class Embed:
    """Vectors of texts."""

    def __init__(self) -> None:
        from minilm import MiniLM

        self.model = MiniLM(os.environ["MODEL"])

    @bentoml.api(route="/embed")
    def embed(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts."""
        return self.model.encode(texts)
