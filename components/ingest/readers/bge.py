"""Training files of FlagEmbedding (BGE): a query, texts that answer it, texts that do not.

https://github.com/FlagOpen/FlagEmbedding: `query`, `pos`, `neg`, and for distillation `pos_scores`,
`neg_scores`, `prompt`. The items have no ids; an item's id here is the hash of its text.
"""

from __future__ import annotations

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.samples import text_id
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import kept
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import records
from assay.components.ingest.readers.sources import Source

_SIDES = (("pos", 1.0), ("neg", 0.0))
_SCHEMA = {
    "query": pl.String,
    "prompt": pl.String,
    **{side: pl.List(pl.String) for side, _ in _SIDES},
    **{f"{side}_scores": pl.List(pl.Float64) for side, _ in _SIDES},
}


def _claims(source: Source) -> str | None:
    if source.kind in ("jsonl", "parquet") and source.has("query", "pos"):
        return "query, pos" + (" and neg" if source.has("neg") else "")
    return None


def _read(source: Source, ledger: Ledger) -> Chunks:
    """Grade 1 of `pos`, 0 of `neg`; a teacher's scores have a scale of their own: `feature.score`."""
    for frame in records(source, _SCHEMA):
        sides = pl.concat([_side(frame, source, side, grade) for side, grade in _SIDES]).sort(
            "row", maintain_order=True
        )
        sides = kept(
            sides, pl.col("text").str.strip_chars() != "", "no_item_text", "query", source, ledger
        ).with_columns(source=pl.lit(source.name))
        texts = sides["text"].unique(maintain_order=True)
        keys = pl.DataFrame({"text": texts, "item_id": [text_id(text) for text in texts]})
        sides = sides.join(keys, on="text", how="left", maintain_order="left")
        items = sides.select("item_id", "text", "source", "row").unique("item_id", maintain_order=True)
        yield "items", items
        yield "judgments", sides.drop("text")


def _side(frame: pl.DataFrame, source: Source, side: str, grade: float) -> pl.DataFrame:
    scores = f"{side}_scores"
    torn = frame.filter(pl.col(scores).is_not_null() & (pl.col(scores).list.len() != pl.col(side).list.len()))
    if len(torn):
        raise BadInput(
            f"{source.path}, line {torn['row'][0]}: {len(torn[scores][0])} {scores} of "
            f"{len(torn[side][0])} texts; give one a text"
        )
    # A list of nulls where there are no scores, so that both lists are exploded together.
    none = pl.col(side).list.eval(pl.when(False).then(pl.element().str.len_bytes().cast(pl.Float64)))
    return (
        frame.filter(pl.col(side).list.len() > 0)
        .with_columns(pl.coalesce(scores, none))
        .explode(side, scores)
        .select(
            *("query", "row"),
            text=pl.col(side),
            grade=pl.lit(grade),
            **{"feature.score": pl.col(scores), "attribute.prompt": pl.col("prompt")},
        )
    )


BGE = Reader("bge", "BGE / FlagEmbedding: query, pos, neg (jsonl)", _claims, _read)
