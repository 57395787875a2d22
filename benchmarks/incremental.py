"""Claim: 1,000 new rows beside 50,000 scored ones cost what a batch of their own costs, or less.

Work: what the warm-up ranker measures (logit, influence, el2n, margin, loss) by MiniLM as a one-logit
cross-encoder after a short warm-up, fp32, a target of 64. The new rows and the target are real titles (MSRD
where ASSAY_DATA is, else the simulated store). The old rows are measured by the same code and kept in the
store, but their texts are two short words each: what is paid for them later is looking them up. Then
`measure` runs on the table of all rows with the store, and on a table of the new ones alone without one, in
turn. CPU seconds of the process, opening the ranker included; the figure is the median of ratios of pairs.

A batch of their own also pays for the self-check on 64 rows, which the store remembers: the second ratio is
to a batch that is told the way beforehand. Methods over the vectors are no part of this: a new row is every
other row's neighbour, so that they are computed anew for all, at no forward pass.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from assay.components.core.manifest import publishing
from assay.components.core.progress import say
from assay.components.core.ranker import Ranker
from assay.components.core.samples import sample_ids, write_samples
from assay.components.score.measure import measure
from influence import texts, warmed
from record import record

METHODS = ["influence", "el2n", "margin", "loss"]
TARGET = 64


def table(frame: pd.DataFrame, split: str) -> pd.DataFrame:
    """Samples of texts and labels, each row another item."""
    contexts, items = (frame[c].astype(str).tolist() for c in ("context", "item"))
    numbers = [f"{split}-{i}" for i in frame.index]
    return pd.DataFrame(
        {
            "sample_id": sample_ids("search", contexts, contexts, numbers, items, "grade"),
            "task": "search",
            "group_id": contexts,
            "context": contexts,
            "item_id": numbers,
            "item": items,
            "label": (frame["label"] > 0).to_numpy(dtype=float),
            "weight": 1.0,
            "segment": "all",
            "source": "benchmark",
            "split": split,
        }
    )


def short(count: int, titles: pd.Series) -> pd.DataFrame:
    """Rows of two short words each, out of real titles."""
    words = sorted({word for title in titles for word in title.split() if word.isalpha() and len(word) < 7})
    rng = np.random.default_rng(0)
    context, item = (rng.choice(words, count) for _ in range(2))
    frame = pd.DataFrame({"context": context, "item": item, "label": rng.integers(0, 2, count)})
    # Numbered apart from the new rows.
    return frame.set_axis(range(10**6, 10**6 + count))


def written(folder: Path, name: str, frame: pd.DataFrame) -> tuple[str, str]:
    """Folders of a sample table and of its vectors, which nothing here looks at."""
    samples, vectors = str(folder / f"{name}-samples"), str(folder / f"{name}-vectors")
    with publishing(samples, relevant_at=0.5) as (beside, _):
        write_samples(frame, beside)
    with publishing(vectors, feature_words=["none"], trait_words=[]) as (beside, _):
        np.save(beside / "traits.npy", np.zeros((len(frame), 0), dtype=np.float32))
        np.save(beside / "features.npy", np.zeros((len(frame), 1), dtype=np.float32))
        pd.DataFrame({"sample_id": sorted(frame["sample_id"])}).to_parquet(beside / "sample_ids.parquet")
    return samples, vectors


def warm_up(folder: Path, ranker: Ranker) -> dict[str, str]:
    """A warm-up's folder, as `finetune` writes it."""
    with publishing(str(folder / "a")) as (beside, _):
        ranker.save(beside / "ranker")
        pd.DataFrame({"sample_id": pd.Series(dtype=str)}).to_parquet(beside / "rows.parquet")
    return {"a": str(folder / "a")}


def main() -> None:
    """Measure, print, write."""
    old, new, pairs = (2_000, 100, 1) if os.environ.get("QUICK") else (50_000, 1_000, 3)
    real = texts()
    ranker = warmed(real.tail(512))
    trusted = table(real.iloc[:TARGET], "target")
    fresh = table(real.iloc[TARGET : TARGET + new], "train")
    known = table(short(old, real["item"].head(5_000)), "train")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        warm_ups = warm_up(folder, ranker)
        tables = {
            "old": written(folder, "old", pd.concat([known, trusted])),
            "all": written(folder, "all", pd.concat([known, fresh, trusted])),
            "new": written(folder, "new", pd.concat([fresh, trusted])),
        }

        def seconds(name: str, store: Path | str) -> tuple[float, int]:
            started = time.process_time()
            found = measure(
                *tables[name], warm_ups, str(folder / "measured"), METHODS, store=str(store or "")
            )
            return time.process_time() - started, found["measured_anew"]

        kept = folder / "kept"
        filling, count = seconds("old", kept)
        assert count == old
        say("incremental", f"{old} rows measured and kept: {filling:.0f} CPU s")
        runs = []
        for number in range(pairs):
            store, told = folder / f"store-{number}", folder / f"told-{number}"
            shutil.copytree(kept, store)
            shutil.copytree(kept, told, ignore=shutil.ignore_patterns("part-*"))
            with_store, count = seconds("all", store)
            assert count == new
            alone, _ = seconds("new", "")
            knowing, count = seconds("new", told)
            assert count == new
            again, count = seconds("all", store)
            assert count == 0
            runs.append({"beside": with_store, "alone": alone, "alone_told": knowing, "nothing_new": again})
            say("incremental", ", ".join(f"{name} {s:.1f}" for name, s in runs[-1].items()) + " CPU s")
    ratio = median(run["beside"] / run["alone"] for run in runs)
    figures = {
        "old_rows": old,
        "new_rows": new,
        "target_rows": TARGET,
        "methods": METHODS,
        "filling_cpu_seconds": filling,
        "runs_cpu_seconds": runs,
        "ratio": ratio,
        "ratio_to_a_batch_told_the_way": median(run["beside"] / run["alone_told"] for run in runs),
    }
    record("incremental", figures, {"beside / alone": (ratio, "<=", 1.05)})


if __name__ == "__main__":
    main()
