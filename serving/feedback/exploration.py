"""Neighbours near the top swapped in a share of lists, with the chance of what was shown.

FairPairs (Radlinski and Joachims 2006, "Minimally Invasive Randomization for Collecting Unbiased Preferences
from Clickthrough Logs", AAAI): by the toss of a coin either (1, 2), (3, 4), ... or (2, 3), (4, 5), ... are
pairs, and each pair is swapped with chance 1/2. No item moves by more than one position, which costs users
little, and the same item is seen on both sides of each two neighbouring positions, so that the ratio of their
propensities can be told, and by the chain of ratios all of them. `ingest` does so with
`policy.bias=harvesting` (Agarwal et al. 2019; Wang et al. 2018 call such swaps RandPair).
"""

from __future__ import annotations

import hashlib

from assay.serving.feedback.settings import FeedbackSettings


def shown_order(query_id: str, n: int, settings: FeedbackSettings) -> tuple[list[int], list[float]]:
    """The order in which the n items of a list are shown, and how likely each was to stand where it does.

    The same query id, n and settings give the same order on every machine.

    Args:
        query_id: Of the list.
        n: Items that are shown.
        settings: `randomise_top`, `randomise_share`, `randomise_seed`.

    Returns:
        (n,) indices into the ranker's order, and (n,) chances in (0, 1]: of the item at each shown position,
        that it stands there, over all draws.
    """
    order, top, share = list(range(n)), min(settings.randomise_top, n), settings.randomise_share
    if top < 2:
        return order, [1.0] * n
    drawn = hashlib.blake2b(
        f"{settings.randomise_seed}\x1f{query_id}".encode("utf-8", "surrogatepass")
    ).digest()
    if int.from_bytes(drawn[:8]) < share * 2**64:
        coins = int.from_bytes(drawn[8:])
        for place in range(coins & 1, top - 1, 2):
            # The coins of a digest are used again beyond 400 positions.
            if coins >> (1 + place % 400) & 1:
                order[place], order[place + 1] = order[place + 1], order[place]
    # A rank has a neighbour on each side within the top, each its partner in half of the lists that are
    # randomised, and is swapped with its partner in half of those.
    swapped = share / 4
    chances = []
    for place, rank in enumerate(order):
        neighbours = (0 < rank < top) + (rank < top - 1)
        chances.append(swapped if place != rank else 1.0 - swapped * neighbours)
    return order, chances
