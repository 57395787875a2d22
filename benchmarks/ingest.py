"""Claim: ingest reads at a pace, and in a memory, that do not depend on how long the log is.

Work: the simulated store's search log, of 1 and of 10 million events, as csv.gz and as parquet, to the sample
table, a process each. Queries, titles, clicks, positions, times, what was sent twice and what is missing are
the store's; 20,000 distinct queries at either length. CPU seconds and the most memory are of the process,
imports included. Beside it pandas doing the same with the whole log in memory: read, drop what is there twice
or has no query or title, mask nothing, click rate of each pair, split by a hash of the query, content hash of
each sample, write parquet. And the same log as canonical tables of ads, a row a sample, cleaned by all rules.
QUICK=1: 200,000 events and 1 million. LENGTHS=1000000: this one alone.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from assay.components.core.progress import say
from record import ROOT, record

FOLDER = ROOT / "runs" / "bench-ingest"
QUERIES, PAGE, ROBOTS = 20_000, 10, 1.25
"""Robots make a quarter more searches."""
COLUMNS = {
    **{role: [role] for role in ("query", "item_id", "click", "position", "timestamp")},
    "item": ["title"],
}
KINDS = ("parquet", "csv.gz")


def make(events: int) -> None:
    """The log in both formats, where it is not there yet."""
    from assay.examples.store import StoreConfig
    from assay.examples.store.catalogue import make_catalogue
    from assay.examples.store.lexical import LexicalIndex
    from assay.examples.store.queries import make_queries
    from assay.examples.store.relevance import Relevance
    from assay.examples.store.search_log import make_search_log

    FOLDER.mkdir(parents=True, exist_ok=True)
    names = [FOLDER / f"{events}.{kind}" for kind in KINDS]
    if all(name.is_file() for name in names):
        return
    say("ingest", f"simulating {events:,} events")
    config = StoreConfig(queries=QUERIES, searches_per_query=events / PAGE / QUERIES / ROBOTS)
    items = make_catalogue(config)
    queries = make_queries(config, items)
    index = LexicalIndex(list(items["title"]))
    log, _ = make_search_log(config, queries, items, Relevance(queries, items), index)
    pq.write_table(pa.Table.from_pandas(log, preserve_index=False), names[0])
    log.to_csv(names[1], index=False, compression={"method": "gzip", "compresslevel": 3})


def ours(log: str, out: str, task: str = "search") -> None:
    """What `assay ingest` does."""
    from assay.components.ingest.prepare import IngestConfig, ingest

    columns = COLUMNS | ({"user": ["user_id"], "id": ["event_id"]} if task == "ads" else {})
    config = IngestConfig(log, task, columns, drop_unlabelled=True)
    ingest(config, *(f"{out}/{name}" for name in ("samples", "texts", "truth")), 0)


def pandas(log: str, out: str) -> None:
    """The same by hand, the log in memory."""
    import hashlib

    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(log) if log.endswith(".parquet") else pd.read_csv(log, parse_dates=["timestamp"])
    frame = frame.drop_duplicates("event_id").dropna(subset=["query", "title"])
    for name in ("query", "title"):
        frame[name] = frame[name].str.replace(r"\s+", " ", regex=True).str.strip()
    merged = frame.groupby(["query", "item_id", "title"], as_index=False).agg(
        label=("click", "mean"), shown=("click", "size"), position=("position", "min"),
        timestamp=("timestamp", "max"),
    )  # fmt: skip
    merged["weight"] = (np.sqrt(merged["shown"]) / np.sqrt(merged["shown"]).mean()).clip(0.1, 10)
    place = {
        query: int.from_bytes(hashlib.blake2b(query.encode(), digest_size=8).digest(), "big") / 2**64
        for query in merged["query"].unique()
    }
    merged["split"] = pd.cut(
        merged["query"].map(place), [0, 0.2, 0.3, 0.35, 1], labels=["test", "validation", "target", "train"]
    ).astype(str)
    merged["sample_id"] = [
        hashlib.blake2b("\0".join(row).encode(), digest_size=16).hexdigest()
        for row in zip(merged["query"], merged["item_id"], merged["title"], strict=True)
    ]
    merged.sort_values("sample_id").to_parquet(f"{out}/samples.parquet", index=False)


WORK = {"ours": ours, "pandas": pandas, "ads": lambda log, out: ours(log, out, "ads")}


def apart(work: str, log: Path) -> dict:
    """A work in a process of its own: CPU seconds and the most memory, in GB."""
    say("ingest", f"{work} on {log.name}")
    with tempfile.TemporaryDirectory(dir=FOLDER) as out:
        done = subprocess.run(
            [sys.executable, __file__, work, str(log), out],
            env=os.environ | {"POLARS_MAX_THREADS": "1", "TMPDIR": out},
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print, write."""
    lengths = (200_000, 1_000_000) if os.environ.get("QUICK") else (1_000_000, 10_000_000)
    if os.environ.get("LENGTHS"):
        lengths = tuple(map(int, os.environ["LENGTHS"].split(",")))
    found: dict[str, dict] = {}
    for events in lengths:
        subprocess.run([sys.executable, __file__, "make", str(events)], check=True)
        for kind in KINDS:
            log = FOLDER / f"{events}.{kind}"
            rows = pq.read_metadata(FOLDER / f"{events}.parquet").num_rows
            for work in ("ours", "pandas") if kind == "csv.gz" else ("ours", "pandas", "ads"):
                one = apart(work, log)
                one |= {"events": rows, "events_a_cpu_second": round(rows / one["cpu_seconds"])}
                found[f"{work}, {events:,}, {kind}"] = one
                say("ingest", json.dumps(one))
    mine = {name: one for name, one in found.items() if name.startswith("ours")}
    peers = {name: one for name, one in found.items() if not name.startswith("ours")}
    budget = {
        "slowest, events a CPU second": (
            min(one["events_a_cpu_second"] for one in mine.values()),
            ">=",
            20_000,
        ),
        "most memory, GB": (max(one["memory_gb"] for one in mine.values()), "<=", 2.0),
    }
    for kind in KINDS:
        pace = [1 / mine[f"ours, {events:,}, {kind}"]["events_a_cpu_second"] for events in lengths]
        budget[f"time an event, {kind}: longest log over shortest"] = (
            round(pace[-1] / pace[0], 3),
            "<=",
            1.2,
        )
    record("ingest", mine, budget, peers)


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(int(sys.argv[2]))
    elif len(sys.argv) > 1:
        WORK[sys.argv[1]](*sys.argv[2:])
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
            "memory_gb": round(used.ru_maxrss / 1e6, 3),
        }))  # fmt: skip
    else:
        main()
