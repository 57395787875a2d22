"""Near-duplicates among the rows that may be chosen: which row stands for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.errors import BadInput
from assay.components.core.progress import say
from assay.components.core.samples import read_samples
from assay.components.core.vectors import row_vectors
from assay.components.select.duplicates import conflicts, near_duplicates, representative_of


@dataclass(frozen=True)
class Collapsed:
    """What was found.

    Attributes:
        twin: (n,) place of the row that stands for each, -1 where it stands for itself.
        conflicts: Near-duplicates whose labels differ, as `conflicts` gives them, of all rows, cut or not.
        facts: For the manifest.
    """

    twin: np.ndarray
    conflicts: pd.DataFrame
    facts: dict[str, Any]


def collapse(
    rows: pd.DataFrame,
    treated: pd.DataFrame,
    samples_folder: str,
    vectors_folder: str,
    threshold: float,
    seed: int,
) -> Collapsed:
    """Collapse plausible rows onto the most important near-duplicate of the same label.

    Args:
        rows: (n,) what `read_scored` read.
        treated: (n,) what `treat` says of each.
        samples_folder: A sample table; its texts are compared.
        vectors_folder: What `embed` wrote.
        threshold: Least cosine of near-duplicates, in (0, 1].
        seed: Of the clusters that rows are compared within.

    Raises:
        BadInput: There are no vectors.
    """
    if not vectors_folder:
        raise BadInput("rules: duplicates are found by vectors: hand over what `embed` wrote")
    ids = rows["sample_id"].tolist()
    read = read_samples(samples_folder, ["train"], ["context", "item"])
    texts = list(zip(read["context"], read["item"], strict=True))
    vectors = row_vectors(vectors_folder, ids)
    joined = near_duplicates(ids, vectors, texts, threshold, seed)
    worth = treated["worth"].to_numpy()
    label = treated["label"].to_numpy(dtype=np.float64).round(2)

    plausible = np.flatnonzero(treated["plausible"].to_numpy())
    onto = representative_of(
        joined[plausible],
        worth[plausible],
        [ids[i] for i in plausible.tolist()],
        label[plausible],
        vectors[plausible],
        [texts[i] for i in plausible.tolist()],
        threshold,
    )
    twin = np.full(len(ids), -1, dtype=np.int64)
    away = onto != np.arange(len(onto))
    twin[plausible[away]] = plausible[onto[away]]

    given = rows["label"].to_numpy(dtype=np.float64).round(2)
    differ = conflicts(representative_of(joined, worth, ids, None, vectors, texts, threshold), given, ids)
    minority = {sample for some in differ["minority"] for sample in some}
    suspect = (rows["decision"] != "keep").to_numpy()
    both = int(suspect[rows["sample_id"].isin(minority).to_numpy()].sum())
    facts = {
        "threshold": threshold,
        "collapsed": int(away.sum()),
        "conflicts": {"groups": len(differ), "rows": len(minority), "of_them_look_mislabelled": both},
    }
    say(
        "select",
        f"{facts['collapsed']} near-duplicates collapsed; {len(differ)} groups of them hold several labels",
    )
    return Collapsed(twin, differ, facts)
