"""The rows of a selection in the formats of other trainers: the chosen subset, used elsewhere.

None of them has a place for the weights of samples.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.manifest import read_manifest
from assay.components.core.samples import shard_files, text_id

WHOLE = 100
"""Grade of label 1 in qrels where grades are no whole numbers: trec_eval reads integers alone."""

_LEFT_OUT = "none"
"""Arm of the rows that the challenger does not train on."""


@dataclass(frozen=True)
class Chosen:
    """What an arm trains on.

    Attributes:
        rows: In `sample_id` order: group_id, context, item_id, item, label (float32 in [0, 1], the
            selection's, which may have corrected it), relevant (bool).
        max_grade: Grade of label 1.
    """

    rows: pl.DataFrame
    max_grade: float


def chosen(samples_folder: str | Path, selection_folder: str | Path, arm: str) -> Chosen:
    """The rows of an arm, joined to their samples.

    Raises:
        BadInput: The selection has no such arm; its rows are not of these samples.
    """
    file = Path(selection_folder) / "selection.parquet"
    if not file.is_file():
        raise BadInput(f"{file}: no such file; name the folder that select wrote")
    selection = pl.scan_parquet(file).select("sample_id", "arm", "label")
    kept = selection.filter(pl.col("arm").cast(pl.String) == arm).drop("arm").collect()
    if kept.is_empty() or arm == _LEFT_OUT:
        arms = selection.select(pl.col("arm").cast(pl.String).unique().sort()).collect()["arm"]
        known = [name for name in arms.to_list() if name != _LEFT_OUT]
        raise BadInput(f"arm {arm!r} has no rows; the selection has {', '.join(known)}")
    try:
        facts, files = read_manifest(samples_folder), shard_files(samples_folder)
    except FileNotFoundError as error:
        raise BadInput(f"{samples_folder}: no sample table: {error}") from error
    texts = ("sample_id", "group_id", "context", "item_id", "item")
    samples = pl.scan_parquet(files).select(pl.col(name).cast(pl.String) for name in texts)
    rows = samples.join(kept.lazy(), on="sample_id", how="inner").sort("sample_id").collect()
    if len(rows) != len(kept):
        raise BadInput(
            f"{len(kept) - len(rows)} of {len(kept)} rows of arm {arm!r} are no rows of {samples_folder}: "
            "name the samples that were selected from"
        )
    # In the precision that labels have: rounding keeps the order, so what is at the threshold stays there.
    least = float(np.float32(facts["relevant_at"] / facts["max_grade"]))
    rows = rows.select(
        *texts[1:],
        "label",
        relevant=pl.col("label") >= pl.lit(least, dtype=pl.Float32),
    )
    return Chosen(rows, float(facts["max_grade"]))


def write_bge(selected: Chosen, folder: Path) -> dict[str, int]:
    """`train.jsonl` of FlagEmbedding: query, pos, neg, pos_scores, neg_scores, a line a list.

    The scores are the labels. FlagEmbedding cannot train on a list without a relevant item, so there is no
    line for one; it wants `neg` too, which its `hn_mine.py` finds where there is none.
    """
    sides = selected.rows.with_columns(side=pl.when("relevant").then(pl.lit("pos")).otherwise(pl.lit("neg")))
    lists = sides.group_by("group_id", "context", maintain_order=True).agg(
        *(pl.col("item").filter(pl.col("side") == side).alias(side) for side in ("pos", "neg")),
        *(pl.col("label").filter(pl.col("side") == side).alias(f"{side}_scores") for side in ("pos", "neg")),
    )
    written = lists.filter(pl.col("pos").list.len() > 0)
    written.select(pl.col("context").alias("query"), "pos", "neg", "pos_scores", "neg_scores").write_ndjson(
        folder / "train.jsonl"
    )
    return {
        "lists": len(written),
        "rows": int((written["pos"].list.len() + written["neg"].list.len()).sum()),
        "lists_without_positive": len(lists) - len(written),
        "lists_without_negative": int((written["neg"].list.len() == 0).sum()),
    }


def write_sentence_transformers(selected: Chosen, folder: Path) -> dict[str, int]:
    """`pairs.parquet` (query, document, label) and `triplets.parquet` (anchor, positive, negative).

    Of a list with p relevant and n other items there are max(p, n) triplets: each item is in one, and no list
    outweighs the others by p times n of them.
    """
    rows = selected.rows
    pairs = rows.select(query="context", document="item", label="label")
    pairs.write_parquet(folder / "pairs.parquet")
    lists = (
        rows.group_by("group_id", "context", maintain_order=True)
        .agg(
            positive=pl.col("item").filter("relevant"),
            negative=pl.col("item").filter(~pl.col("relevant")),
        )
        .with_columns(p=pl.col("positive").list.len(), n=pl.col("negative").list.len())
        .filter((pl.col("p") > 0) & (pl.col("n") > 0))
        .with_columns(place=pl.int_ranges(0, pl.max_horizontal("p", "n")))
    )
    triplets = lists.explode("place").select(
        anchor="context",
        positive=pl.col("positive").list.get(pl.col("place") % pl.col("p")),
        negative=pl.col("negative").list.get(pl.col("place") % pl.col("n")),
    )
    triplets.write_parquet(folder / "triplets.parquet")
    return {"rows": len(pairs), "triplets": len(triplets), "lists_in_triplets": len(lists)}


def write_trec(selected: Chosen, folder: Path) -> dict[str, int]:
    """`qrels.txt` of TREC, `queries.tsv` of MS MARCO (id, text), `corpus.jsonl` of BEIR (_id, title, text).

    An id with white space, or with several texts, is the hash of what it names. Grades are whole: the label
    times the largest grade where that gives whole numbers, else times `WHOLE`.
    """
    rows = selected.rows.with_columns(
        _keys(selected.rows, "group_id", "context").alias("qid"),
        _keys(selected.rows, "item_id", "item").alias("docid"),
    )
    grade = rows["label"].cast(pl.Float64) * selected.max_grade
    whole = bool(((grade - grade.round()).abs() < 1e-4).all())
    if not whole:
        grade = rows["label"].cast(pl.Float64) * WHOLE
    qrels = rows.select("qid", pl.lit("0"), "docid", grade=grade.round().cast(pl.Int64))
    qrels.write_csv(folder / "qrels.txt", separator=" ", include_header=False, quote_style="never")
    queries = rows.unique("qid", maintain_order=True)
    text = pl.col("context").str.replace_all(r"\s+", " ")
    queries.select("qid", text).write_csv(
        folder / "queries.tsv", separator="\t", include_header=False, quote_style="never"
    )
    items = rows.unique("docid", maintain_order=True)
    items.select(pl.col("docid").alias("_id"), title=pl.lit(""), text="item").write_ndjson(
        folder / "corpus.jsonl"
    )
    largest = selected.max_grade if whole else float(WHOLE)
    return {"rows": len(rows), "queries": len(queries), "items": len(items), "max_grade": int(round(largest))}


def _keys(rows: pl.DataFrame, key: str, text: str) -> pl.Series:
    """(n,) ids without white space, each of one text."""
    named = rows.select(key, text).unique(maintain_order=True)
    several = pl.len().over(key) > 1
    odd = named.filter(several | pl.col(key).str.contains(r"\s") | (pl.col(key) == ""))
    hashed = odd.with_columns(
        hashed=pl.Series([text_id(f"{k}\0{t}") for k, t in odd.rows()], dtype=pl.String)
    )
    joined = rows.join(hashed, on=[key, text], how="left", maintain_order="left")
    return joined.select(pl.coalesce("hashed", key)).to_series()


WRITERS: dict[str, Callable[[Chosen, Path], dict[str, int]]] = {
    "bge": write_bge,
    "sentence-transformers": write_sentence_transformers,
    "trec": write_trec,
}
"""{format: (rows, an empty folder) -> counts of what was written there}."""
ALONE = {"bge": "train.jsonl", "sentence-transformers": "pairs.parquet", "trec": "qrels.txt"}
"""{format: its file that is of use without the others}."""


def export(
    samples_folder: str | Path, selection_folder: str | Path, arm: str, format: str, out: str | Path
) -> dict[str, Any]:
    """Write the rows of an arm in a format, beside their place, and rename: the whole of it or nothing.

    Args:
        samples_folder: A sample table.
        selection_folder: What `select` wrote.
        arm: Which rows of it.
        format: Of `WRITERS`.
        out: A folder; or, if it ends as the format's file of `ALONE` does, that file without the others.
            Must not exist, since what is there may not be ours.

    Returns:
        The counts of the writer, and `files`: the names of what was written.

    Raises:
        BadInput: An unknown format or arm, other samples, or `out` exists, is a file of another format, or
            cannot be written.
    """
    if format not in WRITERS:
        raise BadInput(f"--to {format}: no such format; known: {', '.join(WRITERS)}")
    out, endings = Path(out), {name: Path(file).suffix for name, file in ALONE.items()}
    if out.exists():
        raise BadInput(f"--out {out}: exists; name a file or folder that does not")
    if out.suffix != endings[format] and out.suffix in endings.values():
        raise BadInput(f"--out {out}: a file of {format} ends in {endings[format]}; name one, or a folder")
    selected = chosen(samples_folder, selection_folder, arm)
    beside = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        # No manifest: FlagEmbedding would train on any json that lies there.
        beside.mkdir(parents=True)
        counts = WRITERS[format](selected, beside)
        if out.suffix == endings[format]:
            os.replace(beside / ALONE[format], out)
        else:
            os.replace(beside, out)
    except OSError as error:
        raise BadInput(f"--out {out}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return {**counts, "files": sorted(f.name for f in out.iterdir()) if out.is_dir() else [out.name]}
