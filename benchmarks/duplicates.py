"""Claim: near-duplicates of 200,000 rows are found in half a minute of CPU, and hardly one is missed.

Work: 200,000 x 384 vectors of `mixture.py`, no texts: clusters of clusters, a fifth of the rows copies of
another at a cosine of 0.90 to 1. They are no encoded titles, which would be dear. The truth is all
pairs of cosine 0.95 or more among 20,000 of the rows, a half of them copies that lie there with their
originals. A pair is found if it is found itself; that others join its rows to one component does not count.
Where ASSAY_DATA is, the same on up to 8,000 titles of MSRD as MiniLM encodes them: recall alone. faiss beside
it has as many cells, as many of them probed and as many rows to fit them on. One thread, CPU seconds.
"""

from __future__ import annotations

import os
import time

import numpy as np
from assay.components.core.progress import say
from assay.components.select import cells
from assay.components.select.duplicates import THRESHOLD, near_duplicates, near_pairs
from beside import peer
from mixture import mixture
from record import record


def truth(vectors: np.ndarray) -> np.ndarray:
    """All pairs at the threshold, by comparing each row with each. (p, 2) int64, the smaller row first."""
    found = []
    for start in range(0, len(vectors), 1024):
        one, other = np.nonzero(vectors[start : start + 1024] @ vectors[start:].T >= THRESHOLD)
        found.append(np.stack([one, other], axis=1)[one < other] + start)
    return np.concatenate(found)


def codes(pairs: np.ndarray, n: int) -> np.ndarray:
    """A number for each distinct pair, whichever row comes first."""
    return np.unique(pairs.min(axis=1) * n + pairs.max(axis=1))


def recall(found: np.ndarray, expected: np.ndarray, n: int) -> float:
    """Share of the expected pairs that are among the found ones."""
    return float(np.isin(codes(expected, n), codes(found, n)).mean())


def ours(vectors: np.ndarray) -> np.ndarray:
    """Pairs found within cells. (p, 2) int64."""
    return np.concatenate([np.stack(pairs, axis=1) for pairs in near_pairs(vectors, THRESHOLD, 0)])


def real_titles(most: int) -> np.ndarray | None:
    """Distinct titles of MSRD as MiniLM encodes them, (m, 384); None without ASSAY_DATA."""
    if not os.environ.get("ASSAY_DATA"):
        return None
    from assay.components.core.checkpoints import ENCODER, resolve
    from assay.components.core.ranker import TextEncoder
    from pairs import texts

    # In the order of letters, so that films of one series come together.
    return TextEncoder(resolve(ENCODER)).encode(sorted(set(texts()["item"]))[:most])


def main() -> None:
    """Measure, print, write."""
    n = 40_000 if os.environ.get("QUICK") else 200_000
    vectors, original = mixture(n)
    ids = [f"{i:08d}" for i in range(n)]
    started = time.process_time()
    components = near_duplicates(ids, vectors, None)
    seconds = time.process_time() - started
    say("duplicates", f"ours: {seconds:.1f} CPU s")

    copies = np.flatnonzero(original != np.arange(n))
    copies = np.random.default_rng(1).choice(copies, n // 20, replace=False)
    some = np.unique(np.concatenate([copies, original[copies]]))
    rest = np.setdiff1d(np.arange(n), some)
    some = np.sort(np.concatenate([some, np.random.default_rng(2).choice(rest, n // 10 - len(some), False)]))
    expected = some[truth(vectors[some])]
    pairs = recall(ours(vectors), expected, n)
    joined = float((components[expected[:, 0]] == components[expected[:, 1]]).mean())
    say("duplicates", f"recall: {pairs:.4f} of {len(expected)} pairs")

    nlist = round(2 * np.sqrt(n))
    beside = peer("faiss", vectors, threshold=THRESHOLD, cells=nlist, probes=cells.PROBES)
    peers = {"faiss": beside if isinstance(beside, str) else {
        "cpu_seconds": float(beside["seconds"]), "recall": recall(beside["pairs"], expected, n),
        "what": f"IndexIVFFlat, {nlist} cells, {cells.PROBES} probed, range_search",
    }}  # fmt: skip
    say("duplicates", f"faiss: {peers['faiss']}")
    figures = {
        "rows": n,
        "cpu_seconds": seconds,
        "rows_collapsed": int((components != np.arange(n)).sum()),
        "rows_compared_with_all": len(some),
        "pairs_there": len(expected),
        "recall_of_pairs": pairs,
        "recall_in_components": joined,
    }
    titles = real_titles(2_000 if os.environ.get("QUICK") else 8_000)
    if titles is not None:
        there = truth(titles)
        figures["titles"] = {
            "rows": len(titles), "pairs_there": len(there), "recall": recall(ours(titles), there, len(titles))
        }  # fmt: skip
        say("duplicates", f"titles: {figures['titles']}")
    budget = {
        "CPU seconds": (seconds, "<=", 30.0),
        "recall of pairs": (pairs, ">=", 0.99),
    }
    record("duplicates", figures, budget, peers)


if __name__ == "__main__":
    main()
