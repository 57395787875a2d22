"""The table of coverage methods, and the one way in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from assay.components.core.errors import BadInput
from assay.components.select.coverage.ccs import ccs
from assay.components.select.coverage.dpp import dpp
from assay.components.select.coverage.facility import facility
from assay.components.select.coverage.k_centre import k_centre
from assay.components.select.coverage.pool import Pool


@dataclass(frozen=True)
class Coverage:
    """A way to choose rows that are not all alike.

    Attributes:
        choose: (pool, count, seed) -> (count,) int64 numbers of rows, distinct.
        words: What it is for.
        needs_vectors: Whether it compares rows by their vectors.
        most: Rows of a pool at most; 0 is no bound.
    """

    choose: Callable[[Pool, int, int], np.ndarray]
    words: str
    needs_vectors: bool = True
    most: int = 0


def top(pool: Pool, count: int, seed: int) -> np.ndarray:
    """The most important rows, ties by `sample_id`."""
    return np.argsort(-pool.importance, kind="stable")[:count]


COVERAGE: dict[str, Coverage] = {
    "top": Coverage(top, "the most important rows, however alike", False),
    "ccs": Coverage(ccs, "rows of every importance but the lowest", False),
    "facility": Coverage(facility, "rows that are the nearest of as many important rows as can be"),
    "k_centre": Coverage(k_centre, "rows as far from one another as can be, outliers first"),
    "dpp": Coverage(dpp, "a random draw in which rows alike rarely meet", most=2_000),
}


def cover(name: str, pool: Pool, count: int, seed: int) -> np.ndarray:
    """Choose rows of a pool; the answer is a function of its rows, the count and the seed.

    Args:
        name: Of `COVERAGE`.
        pool: The rows.
        count: How many, at most those of the pool.
        seed: Of random draws.

    Returns:
        (count,) int64 numbers of rows, ascending.

    Raises:
        BadInput: There is no such method, the pool has too few rows or too many, or no vectors.
    """
    if name not in COVERAGE:
        raise BadInput(f"coverage {name!r}: write one of {', '.join(COVERAGE)}")
    method, n = COVERAGE[name], len(pool.importance)
    if not 0 <= count <= n:
        raise BadInput(f"coverage {name}: {count} rows of a pool of {n}")
    if method.needs_vectors and pool.vectors is None:
        raise BadInput(f"coverage {name}: needs the vectors of `embed`; give them, or take top or ccs")
    if method.most and n > method.most:
        raise BadInput(f"coverage {name}: {n} rows are too many, {method.most} the most; take facility")
    if count in (0, n):
        return np.arange(n)[:count]
    order = np.argsort(pool.ids, kind="stable")
    vectors = pool.vectors[order] if method.needs_vectors and pool.vectors is not None else None
    ordered = replace(pool, ids=pool.ids[order], importance=pool.importance[order], vectors=vectors)
    return np.sort(order[method.choose(ordered, count, seed)])
