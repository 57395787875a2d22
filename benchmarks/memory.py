"""Claim: influence of every row needs little more memory than scoring them, however many they are.

Work: MiniLM, one-logit cross-encoder, fp32, real titles cut to 6 tokens, so that 100,000 rows take minutes
and no hours; the table of 1,000 rows is its beginning. A process for each size. The bar is read at the
direction and central differences along it: the direction's own bytes, and the most that resident memory rises
during the differences, above what a forward pass over the same rows has left. The job from a bare ranker (the
target's gradient, the probe with its exact products, the differences) is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from assay.components.core.checkpoints import ENCODER, resolve
from assay.components.core.progress import say
from assay.components.core.ranker import Pairs, Ranker, new_ranker
from assay.components.score.gradients.differences import central_difference, directional_derivatives
from assay.components.score.gradients.directions import target_gradients
from pairs import texts
from record import record

MAX_LENGTH = 6
SMALL = 1_000


def extra_memory(work: Callable[[], object]) -> float:
    """Most that resident memory rises above what it was during a call, in MB."""
    page, peak, done = resource.getpagesize(), [0], threading.Event()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], resident())

    before = resident()
    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return (max(peak[0], before) - before) / 1e6


def rows_of(ranker: Ranker, numbers: np.ndarray) -> Pairs:
    """Some of the real rows, over again where there are not so many."""
    frame = texts()
    some = frame.iloc[numbers % len(frame)]
    labels = (some["label"] > 0).to_numpy()
    return ranker.tokenise(some["context"].tolist(), some["item"].tolist(), labels)


def measure(n: int) -> dict[str, float]:
    """Extra memory of each kind of work over n rows, in this process, in MB."""
    ranker = new_ranker("cross", resolve(ENCODER), 0, max_length=MAX_LENGTH).eval()
    rows, target = rows_of(ranker, np.arange(n)), rows_of(ranker, n + np.arange(64))
    # Code is read in once, and is no part of either.
    ranker.score(rows.subset(range(64)))
    found = {"forward": extra_memory(lambda: ranker.score(rows))}
    [v] = target_gradients(ranker, target)
    found["direction"] = sum(part.numel() * part.element_size() for part in v.values()) / 1e6
    found["differences"] = extra_memory(lambda: central_difference(ranker, rows, v, 0.01))
    if n <= SMALL:
        del v
        job = lambda: directional_derivatives(ranker, rows, target_gradients(ranker, target))  # noqa: E731
        found["whole job"] = extra_memory(job)
    return found


def apart(n: int) -> dict[str, float]:
    """`measure` in a process of its own."""
    say("memory", f"{n:,} rows")
    command = [sys.executable, __file__, "--measure", str(n)]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(out.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", type=int)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    large = 5_000 if os.environ.get("QUICK") else 100_000
    found = {n: apart(n) for n in (SMALL, large)}
    extra = {n: each["direction"] + each["differences"] for n, each in found.items()}
    figures = {
        "tokens_per_row_at_most": MAX_LENGTH,
        "megabytes": {str(n): each for n, each in found.items()},
        "extra_megabytes": {str(n): mb for n, mb in extra.items()},
    }
    budget = {
        f"extra MB at {SMALL:,} rows": (extra[SMALL], "<=", 150.0),
        f"extra MB at {large:,} rows": (extra[large], "<=", 150.0),
        "larger less smaller, MB": (abs(extra[large] - extra[SMALL]), "<=", 15.0),
    }
    record("memory", figures, budget)


if __name__ == "__main__":
    main()
