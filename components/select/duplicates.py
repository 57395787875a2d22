"""Near-duplicates: rows that say the same twice, of which the most important one is kept."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import pandas as pd
from assay.components.select.cells import pairs_above
from scipy.sparse import csr_array

NONE = -1
SHOWN = 20
"""Conflicts that are listed; all are counted."""
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Attributes:
        twin: (n,) int64 number of the row that each row is collapsed onto; -1 where it is kept.
        conflicts: Pairs of near-duplicates whose labels differ, the most alike first: first, second
            (numbers), cosine. Evidence of noise: one is wrong, and neither is collapsed onto the other.
        exact: How many of the collapsed rows have the very words of the other.
    """

    twin: np.ndarray
    conflicts: pd.DataFrame
    exact: int

    def facts(self, sample_ids: pd.Series) -> dict:
        """For the manifest."""
        shown = self.conflicts.head(SHOWN)
        return {
            "collapsed": int((self.twin >= 0).sum()),
            "exact": self.exact,
            "conflicts": len(self.conflicts),
            "rows_in_conflict": len(np.unique(self.conflicts[["first", "second"]].to_numpy())),
            "conflict_examples": [
                [sample_ids.iat[first], sample_ids.iat[second], round(float(cosine), 4)]
                for first, second, cosine in shown.itertuples(index=False)
            ],
        }


def normalised(texts: pd.Series) -> pd.Series:
    """Texts that differ in case, spaces or compatible characters alone become the same (NFKC, casefold)."""
    plain = {
        text: _SPACE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip() for text in set(texts)
    }
    return texts.map(plain)


def near_duplicates(
    rows: pd.DataFrame, importance: np.ndarray, vectors: np.ndarray | None, threshold: float, seed: int = 0
) -> Duplicates:
    """Collapse rows onto more important ones of the same label: first by words, then by vectors.

    A row is collapsed only onto a row that is kept and within the threshold of it, so no chain of small steps
    ends far away. Abbas et al. 2023, "SemDeDup", compare within clusters likewise, and keep by distance.

    Args:
        rows: (n,) context, item, task, label; in `sample_id` order, which breaks ties.
        importance: (n,) float64; the highest is kept.
        vectors: (n, d) float32, unit length; None compares words alone.
        threshold: Cosine from which rows are near-duplicates, in (0, 1].
        seed: Of the cells.
    """
    words = rows["task"].astype(str) + "\0" + normalised(rows["context"]) + "\0" + normalised(rows["item"])
    code = pd.factorize(words)[0]
    exact = _pairs_of_one_code(code)
    pairs, cosine = exact, np.ones(len(exact), dtype=np.float32)
    if vectors is not None:
        found, alike = pairs_above(vectors, threshold, seed)
        pairs, cosine = np.concatenate([pairs, found]), np.concatenate([cosine, alike])
    both, at = np.unique(pairs, axis=0, return_index=True)
    label = rows["label"].to_numpy()
    same = label[both[:, 0]] == label[both[:, 1]]
    twin = _collapsed(len(rows), both[same], importance)
    conflicts = pd.DataFrame(
        {"first": both[~same, 0], "second": both[~same, 1], "cosine": cosine[at][~same]}
    ).sort_values(["cosine", "first", "second"], ascending=[False, True, True], ignore_index=True)
    collapsed = twin >= 0
    return Duplicates(twin, conflicts, int((code[collapsed] == code[twin[collapsed]]).sum()))


def _pairs_of_one_code(code: np.ndarray) -> np.ndarray:
    """(p, 2) all pairs of rows of one code."""
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, code[order][1:] != code[order][:-1]])
    found = [np.empty((0, 2), dtype=np.int64)]
    for group in np.split(order, starts[1:]):
        if len(group) > 1:
            one, other = np.triu_indices(len(group), 1)
            found.append(np.column_stack([group[one], group[other]]))
    return np.concatenate(found)


def _collapsed(n: int, pairs: np.ndarray, importance: np.ndarray) -> np.ndarray:
    twin = np.full(n, NONE, dtype=np.int64)
    ones = np.ones(len(pairs), dtype=bool)
    graph = csr_array((np.r_[ones, ones], np.r_[pairs, pairs[:, ::-1]].T), shape=(n, n))
    involved = np.unique(pairs)
    order = involved[np.argsort(-importance[involved], kind="stable")]
    kept = np.zeros(n, dtype=bool)
    for row in order.tolist():
        if twin[row] >= 0:
            continue
        kept[row] = True
        near = graph.indices[graph.indptr[row] : graph.indptr[row + 1]]
        twin[near[(twin[near] < 0) & ~kept[near]]] = row
    return twin
