"""A plain FastAPI server, as one writes it first: a sync route, which FastAPI runs in its pool of threads.

`uvicorn fastapi_embed:app`, the folder of the weights in MODEL.
"""

from __future__ import annotations

import os

from fastapi import FastAPI
from minilm import MiniLM
from pydantic import BaseModel

app = FastAPI()
model = MiniLM(os.environ["MODEL"])


class Texts(BaseModel):
    """Body of `/embed`."""

    texts: list[str]


class Vectors(BaseModel):
    """Its answer."""

    vectors: list[list[float]]


@app.post("/embed")
def embed(body: Texts) -> Vectors:
    """Vectors of texts."""
    return Vectors(vectors=model.encode(body.texts))


@app.get("/readyz")
def ready() -> str:
    """The weights are opened before the app is."""
    return "ready"
