"""What goes through cache, tokenizer and batcher is what the version scores by itself."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from assay.components.core.ranker import new_ranker
from assay.serving.engine.batcher import Batcher, RowFailed
from assay.serving.engine.cache import Cache
from assay.serving.engine.compute import Compute
from assay.serving.engine.served import ServedModel
from assay.serving.engine.watching import Watching
from assay.serving.telemetry.telemetry import Telemetry
from assay.serving.versions.bundle import write_bundle

ROWS = [
    ("red shoe", "kettle"),
    ("", "lamp"),
    ("red shoe", "shoe " * 300),
    ("lamp", "lamp"),
    ("red shoe", "kettle"),
]


@pytest.fixture(scope="module", params=["cross", "bi"])
def model(request, tiny, tmp_path_factory) -> ServedModel:
    """An open version of each kind."""
    folder, ranker = tmp_path_factory.mktemp("version"), tiny.ranker
    if request.param == "bi":
        ranker = folder / "ranker"
        new_ranker("bi", tiny.encoder, seed=3).save(ranker)
    return ServedModel.open(write_bundle(folder / "1", "assay-search", "1", ranker, tiny.encoder))


def run(work):
    """Runs `work(compute)` in an event loop, with a batcher that is started."""

    async def main():
        telemetry = Telemetry()
        batcher = Batcher(64, 10_000, Watching(telemetry))
        batcher.start()
        try:
            return await work(Compute(batcher, Cache(1 << 20), telemetry))
        finally:
            await batcher.close()

    return asyncio.run(main())


def test_logits_and_vectors_are_those_of_the_version(model):
    texts = [item for _, item in ROWS]

    async def work(compute):
        logits = await compute.logits(model, ROWS, math.inf)
        vectors = await compute.vectors(model, texts, math.inf)
        computed = model.rows
        again = await compute.logits(model, ROWS[::-1], math.inf)
        assert model.rows == computed
        return logits, vectors, again

    logits, vectors, again = run(work)
    np.testing.assert_allclose(logits.values, model.score(ROWS), atol=1e-5)
    assert logits.values[0] == logits.values[4]
    assert logits.truncated == [False, False, True, False, False]
    assert again.values.tolist() == logits.values[::-1].tolist()
    assert again.truncated == logits.truncated[::-1]
    tokens = model.encoder.tokenizer.texts(texts)
    np.testing.assert_allclose(vectors.values, model.encoder.compute(tokens), atol=1e-5)
    assert vectors.truncated == [token.truncated for token in tokens]


def test_a_row_that_fails_is_told_by_its_place_in_the_request(model, monkeypatch):
    rows = [("zebra", "yak"), ("red", "lamp"), ("a", "b"), ("red", "kettle")]
    bad = model.ranker.tokenise([rows[3] if model.kind == "cross" else rows[3][1:]])[0].ids
    compute = model.ranker.compute

    def failing(tokens):
        if bad in [row.ids for row in tokens]:
            raise ValueError
        return compute(tokens)

    monkeypatch.setattr(model.ranker, "compute", failing)
    with pytest.raises(RowFailed, match="row 3 cannot be computed: ValueError"):
        run(lambda compute: compute.logits(model, rows, math.inf))
