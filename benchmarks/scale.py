"""Claim: a selection of ten million scored rows takes minutes of CPU and fits into 4 GB.

Work: synthetic samples and scores, written shard by shard as `ingest` and `score` lay them out (row groups of
4,096), every 50th row of another split. `select` runs in a process of its own, which says its CPU seconds
(imports included) and the most memory that was resident: challenger and control at 30 %, without rules, and
with quotas and floors by segment, constraints and exploration. QUICK=1 takes a million rows. Beside it, the
selection of a smaller table in one shard and in many is compared byte by byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from assay.components.core.manifest import cpu_seconds, publishing
from assay.components.core.progress import say
from assay.components.core.samples import BLOCK, SCHEMA
from assay.components.select.rules import Rules
from assay.components.select.select import select
from record import record

ROWS = 1_000_000 if os.environ.get("QUICK") else 10_000_000
SHARDS, SMALL = 20, 300_000
BUDGET = "0.3"
SEGMENTS = np.array(["head", "torso", "tail", "long tail"])
RULES = {
    "none": Rules(),
    "all": Rules(
        by_segment=True,
        floor=0.1,
        explore=0.05,
        constraints=("segment=head <= 50%", "user <= 1%", "label=1 >= 20%"),
    ),
}
_HEX = np.array([f"{byte:02x}" for byte in range(256)], dtype="S2")


def write(folder: Path, rows: int, shards: int, seed: int = 0) -> None:
    """Samples and scores of `rows` rows; which rows these are does not depend on the number of shards."""
    blocks = -(-rows // BLOCK)
    # Ids rise from block to block, so that no shard has to be sorted with another.
    firsts = np.linspace(0, 2**64 - 2**44, blocks + 1).astype(np.uint64)
    cuts = np.linspace(0, blocks, shards + 1).astype(int)
    with (
        publishing(folder / "samples", relevant_at=0.5) as (samples, _),
        publishing(folder / "scores") as (scores, _),
    ):
        (scores / "scores.parquet").mkdir()
        for shard, (start, end) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            name = f"part-{shard:05d}.parquet"
            with (
                pq.ParquetWriter(samples / name, SCHEMA, compression="zstd") as writer,
                pq.ParquetWriter(scores / "scores.parquet" / name, SCORES) as scored,
            ):
                for block in range(start, end):
                    n = min(BLOCK, rows - block * BLOCK)
                    table, judged = _block(n, firsts[block], firsts[block + 1], seed + block)
                    writer.write_table(table, row_group_size=BLOCK)
                    scored.write_table(judged)


SCORES = pa.schema(
    [
        *((name, pa.string()) for name in ("sample_id", "group_id", "item_id")),
        *((name, pa.float64()) for name in ("importance", "label_quality", "el2n", "noise")),
        *((name, pa.string()) for name in ("decision", "reason")),
        ("suggested_label", pa.float64()),
        ("explanation", pa.string()),
    ]
)


def _block(n: int, low: np.uint64, high: np.uint64, seed: int) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(seed)
    heads = np.sort(rng.integers(low, high, n, dtype=np.uint64)).astype(">u8").view(np.uint8).reshape(n, 8)
    raw = np.hstack([heads, rng.integers(0, 256, (n, 8), dtype=np.uint8)])
    ids = pa.array(np.ascontiguousarray(_HEX[raw]).view("S32").ravel()).cast(pa.string())
    number = rng.integers(0, 500_000, (2, n))
    label = rng.choice(np.array([0, 1 / 3, 2 / 3, 1], dtype=np.float32), n, p=[0.5, 0.2, 0.2, 0.1])
    train = np.arange(n) % 50 != 0
    of = {
        "sample_id": ids,
        "task": ["search"] * n,
        "group_id": pa.array(number[0]).cast(pa.string()),
        "context": pa.array(number[0]).cast(pa.string()),
        "item_id": pa.array(number[1]).cast(pa.string()),
        "item": pa.array(number[1]).cast(pa.string()),
        "label": label,
        "weight": np.ones(n, dtype=np.float32),
        "segment": SEGMENTS[rng.choice(4, n, p=[0.7, 0.2, 0.09, 0.01])],
        "source": ["log"] * n,
        "split": np.where(train, "train", "validation"),
    }
    columns = [
        pa.array(
            of[field.name], field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        ).cast(field.type)
        if field.name in of
        else pa.nulls(n, field.type)
        for field in SCHEMA
    ]
    table = pa.Table.from_arrays(columns, schema=SCHEMA)
    noise = rng.random(n)
    wrong = noise > 0.85
    judged = {
        **{name: of[name] for name in ("sample_id", "group_id", "item_id")},
        **{name: rng.random(n) for name in ("importance", "label_quality", "el2n")},
        "noise": noise,
        "decision": np.where(noise > 0.95, "relabel", np.where(wrong, "drop", "keep")),
        "reason": np.where(
            noise > 0.95, "relabel_candidate", np.where(wrong, "likely_mislabelled", "label_plausible")
        ),
        "suggested_label": np.where(wrong, 1 - label, np.nan),
        "explanation": ["importance, most by label_quality, least by el2n"] * n,
    }
    return table, pa.table(judged, schema=SCORES).filter(pa.array(train))


def measure(folder: Path, rules: str) -> dict[str, float]:
    """One selection in this process: CPU seconds, imports included, wall seconds, and peak memory in GB."""
    started = time.perf_counter()
    folders = [str(folder / name) for name in ("samples", "scores", f"selection-{rules}")]
    found = select(*folders, ["challenger", "control"], BUDGET, 0, "", RULES[rules])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"cpu_seconds": cpu_seconds(), "wall_seconds": time.perf_counter() - started, "gb": peak} | found


def apart(folder: Path, rules: str) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, str(folder), rules]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(out.stdout.splitlines()[-1])


def digest(folder: Path, rules: str) -> str:
    """Of a selection."""
    return hashlib.sha256((folder / f"selection-{rules}" / "selection.parquet").read_bytes()).hexdigest()


def main() -> None:
    """Measure, print, write."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
        return
    with tempfile.TemporaryDirectory() as name:
        same = {}
        for shards in (1, 7):
            folder = Path(name) / f"small-{shards}"
            write(folder, SMALL, shards)
            for rules in RULES:
                measure(folder, rules)
                same.setdefault(rules, set()).add(digest(folder, rules))
        folder, started = Path(name) / "large", cpu_seconds()
        write(folder, ROWS, SHARDS)
        say("scale", f"{ROWS:,} rows written in {cpu_seconds() - started:.0f} CPU s")
        found = {rules: apart(folder, rules) for rules in RULES}
    figures = {"rows": ROWS, "shards": SHARDS, "budget": BUDGET, "rules": found}
    budget = {"digests of 300,000 rows in 1 and in 7 shards": (max(map(len, same.values())), "==", 1)}
    for rules, one in found.items():
        budget[f"CPU seconds, rules: {rules}"] = (one["cpu_seconds"], "<=", 300)
        budget[f"GB resident, rules: {rules}"] = (one["gb"], "<=", 4)
    record("scale", figures, budget)


if __name__ == "__main__":
    main()
