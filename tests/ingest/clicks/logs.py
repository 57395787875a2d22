"""Logs of click models whose propensities were chosen, and a short way to write a log by hand."""

import numpy as np
import polars as pl
from assay.components.ingest.tables import canonical

MINUTE = 60_000_000


def shown(*rows, **more):
    """Impressions (query_id, item_id, position, minute); `more` are columns."""
    names = ("query_id", "item_id", "position", "timestamp")
    frame = pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], infer_schema_length=None)
    return canonical("impressions", _timed(frame).with_columns(**{k: pl.Series(v) for k, v in more.items()}))


def done(*rows, **more):
    """Events (query_id, item_id, action, minute); `more` are columns."""
    names = ("query_id", "item_id", "action", "timestamp")
    frame = pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], infer_schema_length=None)
    return canonical("events", _timed(frame).with_columns(**{k: pl.Series(v) for k, v in more.items()}))


def _timed(frame):
    time = (pl.col("timestamp").cast(pl.Float64) * MINUTE).cast(pl.Int64).cast(pl.Datetime("us"))
    return frame.with_columns(time.dt.replace_time_zone("UTC"))


def searches(examined, queries=40, items=12, times=250, shake=1.0, seed=0):
    """A log by the position-based model; its ranker knows what is good, but for some noise.

    Returns the impressions, with `clicked`, and (queries, items) attraction.
    """
    rng, depth = np.random.default_rng(seed), len(examined)
    attraction = rng.choice([0.05, 0.15, 0.4, 0.8], size=(queries, items))
    asked = np.repeat(np.arange(queries), times)
    worth = 4 * attraction[asked] + rng.normal(0, shake, (len(asked), items))
    page = np.argsort(-worth, axis=1)[:, :depth]
    liked = rng.random(page.shape) < attraction[asked[:, None], page]
    clicked = liked & (rng.random(page.shape) < np.array(examined))
    return table(asked, page, clicked), attraction


def table(asked, page, clicked):
    """(searches,) queries, (searches, depth) items and clicks, as impressions."""
    depth = page.shape[1]
    frame = pl.DataFrame(
        {
            "query_id": np.repeat(np.arange(len(page)), depth),
            "query": np.repeat(asked, depth),
            "item_id": page.ravel(),
            "position": np.tile(np.arange(1, depth + 1), len(page)),
            "clicked": clicked.ravel().astype(float),
        }
    )
    return canonical("impressions", frame)
