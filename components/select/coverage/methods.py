"""The ways to cover a pool, by name: adding one touches one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from assay.components.core.errors import BadInput
from assay.components.select.coverage.ccs import ccs
from assay.components.select.coverage.dpp import AT_MOST, dpp
from assay.components.select.coverage.facility import facility
from assay.components.select.coverage.k_centre import k_centre
from assay.components.select.coverage.pool import Pool
from assay.components.select.coverage.top import top


@dataclass(frozen=True)
class Coverage:
    """A way to choose rows.

    Attributes:
        pick: Pool in `sample_id` order, count in 1..n, seed -> (count,) row numbers.
        words: What it is for.
        needs_vectors: Whether it looks at vectors.
        at_most: Rows of the largest pool that it can choose from; None: any.
    """

    pick: Callable[[Pool, int, int], np.ndarray]
    words: str
    needs_vectors: bool = True
    at_most: int | None = None

    def choose(self, pool: Pool, count: int, seed: int) -> np.ndarray:
        """Row numbers of the rows chosen, distinct, in the order of choice. (count,) int64.

        Which rows these are does not depend on the order of the pool's rows.

        Args:
            pool: Rows to choose from.
            count: How many, 1 to n.
            seed: Of random draws.

        Raises:
            BadInput: There are not so many rows, the vectors are missing, or the pool is too large.
        """
        if not 1 <= count <= len(pool):
            raise BadInput(f"coverage: {count} rows of {len(pool)}: choose 1 to {len(pool)}")
        if self.needs_vectors and pool.vectors is None:
            raise BadInput(
                f"coverage {self.pick.__name__} looks at vectors, and there are none: embed the rows, or "
                f"take one of {', '.join(name for name, way in COVERAGE.items() if not way.needs_vectors)}"
            )
        if self.at_most is not None and len(pool) > self.at_most:
            raise BadInput(
                f"coverage {self.pick.__name__}: {len(pool)} rows, and it is cubic: at most {self.at_most}; "
                "take facility"
            )
        ordered, place = pool.by_id()
        return place[self.pick(ordered, count, seed)]


COVERAGE: dict[str, Coverage] = {
    "top": Coverage(top, "the most important rows, whatever they repeat", needs_vectors=False),
    "ccs": Coverage(ccs, "rows of every degree of importance but the lowest", needs_vectors=False),
    "facility": Coverage(facility, "important rows such that each row is near one of them"),
    "k_centre": Coverage(k_centre, "rows such that none is far from all of them: outliers first"),
    "dpp": Coverage(dpp, "important rows drawn so that they repel each other", at_most=AT_MOST),
}


def coverage(name: str) -> Coverage:
    """A way by its name.

    Raises:
        BadInput: There is none of that name.
    """
    if name not in COVERAGE:
        raise BadInput(f"coverage {name}: unknown; known: {', '.join(COVERAGE)}")
    return COVERAGE[name]
