"""Claim: facility location chooses 10,000 of 200,000 rows in a minute of CPU and 2 GB, near the lazy greedy.

Work: 200,000 x 384 vectors of `mixture.py`, which are no encoded titles, and importance drawn uniformly. Time
and memory are those of a process that loads the vectors from disk and chooses: of the time, imports and
loading are no part; the memory is the whole process's. Quality is met on 10,000 of the rows, of which 500 are
chosen: the sum over all pairs, against the lazy greedy that sees all pairs (Minoux 1978); with that
importance, and with the same for all, which is what the peers maximise. A peer is stopped after 100 CPU
seconds. One thread, CPU seconds.
"""

from __future__ import annotations

import heapq
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from assay.components.core.progress import say
from assay.components.select.coverage.facility import facility, sum_served
from assay.components.select.coverage.methods import COVERAGE
from assay.components.select.coverage.pool import Pool
from beside import peer
from mixture import mixture
from record import record


def ids_of(n: int) -> list[str]:
    """Ids in the order of rows."""
    return [f"{i:08d}" for i in range(n)]


def lazy_greedy(vectors: np.ndarray, importance: np.ndarray, count: int) -> np.ndarray:
    """The greedy choice over all pairs; gains only shrink, so that an old one is a bound. (count,) int64."""
    worth = importance.astype(np.float32)
    table = np.maximum(vectors @ vectors.T, 0) * worth * worth[:, None]
    bounds = [(-float(gain), j) for j, gain in enumerate(table.sum(axis=0, dtype=np.float64))]
    heapq.heapify(bounds)
    served, chosen = np.zeros(len(table), dtype=np.float32), []
    while len(chosen) < count:
        _, j = heapq.heappop(bounds)
        # The table is symmetric, and a row of it lies together.
        gain = float(np.maximum(table[j] - served, 0).sum(dtype=np.float64))
        if not bounds or gain >= -bounds[0][0]:
            chosen.append(j)
            served = np.maximum(served, table[j])
        else:
            heapq.heappush(bounds, (-gain, j))
    return np.array(chosen)


def apart(folder: Path, count: int) -> None:
    """In a process of its own: choose, and write the time and the memory that it took."""
    vectors, importance = np.load(folder / "vectors.npy"), np.load(folder / "importance.npy")
    pool = Pool(ids_of(len(vectors)), importance, vectors)
    loaded = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    started = time.process_time()
    chosen = COVERAGE["facility"].choose(pool, count, 0)
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    found = {
        "cpu_seconds": seconds,
        "loaded_mb": loaded,
        "peak_mb": peak,
        "chosen": len(set(chosen.tolist())),
    }
    (folder / "found.json").write_text(json.dumps(found))


def main() -> None:
    """Measure, print, write."""
    n, count = (40_000, 2_000) if os.environ.get("QUICK") else (200_000, 10_000)
    vectors, _ = mixture(n)
    rng = np.random.default_rng(1)
    importance = rng.uniform(size=n)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        np.save(folder / "vectors.npy", vectors)
        np.save(folder / "importance.npy", importance)
        subprocess.run([sys.executable, __file__, str(folder), str(count)], check=True)
        large = json.loads((folder / "found.json").read_text())
    say("diversity", f"{count} of {n}: {large}")

    some = np.sort(rng.choice(n, 10_000, replace=False))
    rows, few, equal = vectors[some], 500, np.ones(len(some))
    shares, seconds = {}, {}
    for name, weights in {"importance": importance[some], "equal": equal}.items():
        started = time.process_time()
        lazy = lazy_greedy(rows, weights, few)
        seconds[f"lazy greedy, {name}"] = time.process_time() - started
        started = time.process_time()
        chosen = facility(Pool(ids_of(len(some)), weights, rows), few, 0)
        seconds[f"ours, {name}"] = time.process_time() - started
        best = sum_served(rows, weights, lazy)
        shares[name] = sum_served(rows, weights, chosen) / best
        shares[f"random, {name}"] = sum_served(rows, weights, np.arange(few)) / best
    say("diversity", f"share of the lazy greedy's sum: {shares}")
    peers: dict[str, object] = {}
    for name in ("apricot", "submodlib"):
        found = peer(name, rows, count=few)
        if isinstance(found, str):
            peers[name] = found
        else:
            reached = sum_served(rows, equal, found["chosen"]) / best
            peers[name] = {"cpu_seconds_on_10000": float(found["seconds"]), "of_lazy_greedy": reached}
        say("diversity", f"{name}: {peers[name]}")
    figures = {
        "rows": n,
        "chosen": large["chosen"],
        "cpu_seconds": large["cpu_seconds"],
        "loaded_mb": large["loaded_mb"],
        "peak_mb": large["peak_mb"],
        "of_lazy_greedy_on_10000": shares,
        "cpu_seconds_on_10000": seconds,
    }
    budget = {
        "CPU seconds": (large["cpu_seconds"], "<=", 60.0),
        "peak MB of the whole process": (large["peak_mb"], "<=", 2000.0),
        "of the lazy greedy's sum, importance": (shares["importance"], ">=", 0.98),
        "of the lazy greedy's sum, all equal": (shares["equal"], ">=", 0.98),
    }
    record("diversity", figures, budget, peers)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        apart(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
