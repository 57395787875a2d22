"""A line a row that says why it was taken or left, next to the explanation of its score."""

from __future__ import annotations

import string
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PLACE = (
    "place {place} of {size} plausible rows of {stratum} by importance; they get {quota} of the {budget} "
    "rows{extra}"
)
_WRONG = "label {label} looks wrong (probability {noise}{rather})"
_LIST = "its list is place {place} of {size} by mean importance; {quota} lists of {taken} rows fit {budget}"
LINES = {
    "important": _PLACE,
    "over_budget": _PLACE,
    "covers": f"chosen by {{coverage}} for being unlike the others; {_PLACE}",
    "not_covering": f"left by {{coverage}} for being like others that are taken; {_PLACE}",
    "floor": f"kept for the floor of its segment; {_PLACE}",
    "constraint": f"the constraints decide: importance alone says otherwise; {_PLACE}",
    "exploration": f"drawn at random for exploration; {_PLACE}",
    "relabelled": f"{_WRONG} and it trains on {{trained}}; {_PLACE}",
    "downweighted": f"{_WRONG} and it counts {{weight}}; {_PLACE}",
    "important_list": _LIST,
    "over_budget_list": _LIST,
    "near_duplicate": "near-duplicate (cosine {cosine} or more) of {twin}, which stands for it",
    "budget_exceeds_distinct_rows": (
        "near-duplicate (cosine {cosine} or more) of {twin}, yet taken: the budget of {budget} rows exceeds "
        "the {plausible} distinct plausible ones"
    ),
    "budget_exceeds_plausible_rows": (
        f"{_WRONG}, yet taken: the budget of {{budget}} rows exceeds the {{plausible}} plausible ones"
    ),
}
"""{reason: line}."""
SUSPECT = f"{_WRONG} and it is cut"
"""Line of any other reason: those that `score` gives."""

Fields = Mapping[str, np.ndarray | str]
"""{field of a line: its value for all rows, or (n,) of each}."""


def lines(reasons: np.ndarray, fields: Fields) -> pa.ChunkedArray:
    """The line of each row.

    Args:
        reasons: (n,) reason codes.
        fields: What the lines are filled with.

    Returns:
        (n,) strings.
    """
    kinds, kind = np.unique(reasons, return_inverse=True)
    parts, places = [], []
    for number, reason in enumerate(kinds.tolist()):
        mine = np.flatnonzero(kind == number)
        parts.append(_filled(LINES.get(reason, SUSPECT), fields, mine))
        places.append(mine)
    back = np.argsort(np.concatenate(places), kind="stable")
    return pa.chunked_array([pa.concat_arrays(parts).take(pa.array(back))])


def _filled(line: str, fields: Fields, mine: np.ndarray) -> pa.Array:
    pieces: list[pa.Array | str] = []
    for text, name, _, _ in string.Formatter().parse(line):
        pieces.append(text)
        if name:
            value = fields[name]
            pieces.append(value if isinstance(value, str) else pa.array(value[mine]).cast(pa.string()))
    if all(isinstance(piece, str) for piece in pieces):
        return pa.array(["".join(map(str, pieces))] * len(mine), pa.string())
    return pc.binary_join_element_wise(*pieces, "")


def number(values: np.ndarray) -> np.ndarray:
    """(n,) numbers as they are read: to hundredths."""
    return np.round(values.astype(np.float64), 2)


def rather(suggested: np.ndarray) -> np.ndarray:
    """(n,) what the label should rather be, as it goes into a line; "" where nothing is suggested."""
    known = ~np.isnan(suggested)
    texts = np.full(len(suggested), "", dtype=object)
    texts[known] = [f", rather {value:g}" for value in number(suggested[known]).tolist()]
    return texts
