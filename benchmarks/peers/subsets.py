"""One peer of coverage or near-duplicates, in a process of its own: subsets.py PEER FOLDER.

Reads `vectors.npy` and `work.json` from the folder, writes `PEER.npz`: what it found, and its CPU seconds.
What is compiled at the first call is compiled on a few rows before the clock starts.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def faiss_pairs(vectors: np.ndarray, threshold: float, cells: int, probes: int, **_) -> dict:
    """Pairs by faiss: IVF with flat cells, a range search of all rows."""
    import faiss

    faiss.omp_set_num_threads(1)
    started = time.process_time()
    quantizer = faiss.IndexFlatIP(vectors.shape[1])
    index = faiss.IndexIVFFlat(quantizer, vectors.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid, index.cp.niter, index.nprobe = 32, 5, probes
    index.train(vectors)
    index.add(vectors)
    limits, _, other = index.range_search(vectors, threshold)
    one = np.repeat(np.arange(len(vectors)), np.diff(limits.astype(np.int64)))
    pairs = np.stack([one, other.astype(np.int64)], axis=1)[one != other]
    return {"pairs": pairs, "seconds": time.process_time() - started}


def apricot_chosen(vectors: np.ndarray, count: int, **_) -> dict:
    """Facility location by apricot, lazy, over all cosines."""
    from apricot import FacilityLocationSelection

    def choose(rows: np.ndarray, some: int) -> np.ndarray:
        table = np.maximum(rows @ rows.T, 0).astype(np.float64)
        return FacilityLocationSelection(some, metric="precomputed", optimizer="lazy").fit(table).ranking

    choose(vectors[:64], 4)
    started = time.process_time()
    chosen = choose(vectors, count)
    return {"chosen": chosen, "seconds": time.process_time() - started}


def submodlib_chosen(vectors: np.ndarray, count: int, **_) -> dict:
    """Facility location by submodlib, lazy, over the 64 nearest rows of each."""
    from submodlib import FacilityLocationFunction

    def choose(rows: np.ndarray, some: int) -> np.ndarray:
        function = FacilityLocationFunction(
            n=len(rows), mode="sparse", data=rows, metric="cosine", num_neighbors=min(64, len(rows))
        )
        found = function.maximize(
            budget=some, optimizer="LazyGreedy", stopIfZeroGain=False, stopIfNegativeGain=False
        )
        return np.array([row for row, _ in found])

    choose(vectors[:64], 4)
    started = time.process_time()
    chosen = choose(vectors, count)
    return {"chosen": chosen, "seconds": time.process_time() - started}


PEERS = {"faiss": faiss_pairs, "apricot": apricot_chosen, "submodlib": submodlib_chosen}

if __name__ == "__main__":
    peer, folder = sys.argv[1], Path(sys.argv[2])
    work = json.loads((folder / "work.json").read_text())
    np.savez(folder / f"{peer}.npz", **PEERS[peer](np.load(folder / "vectors.npy"), **work))
