"""What is shown, and how likely it was: the chances written are those of the draws."""

from collections import Counter

import pytest
from assay.serving.feedback.exploration import shown_order
from assay.serving.feedback.settings import FeedbackSettings


def test_nothing_moves_unless_asked():
    assert shown_order("q", 4, FeedbackSettings()) == ([0, 1, 2, 3], [1.0] * 4)


def test_a_retry_shows_the_same():
    some = FeedbackSettings(randomise_top=6, randomise_share=1.0)
    other = FeedbackSettings(randomise_top=6, randomise_share=1.0, randomise_seed=1)
    drawn = [shown_order(f"q{n}", 9, some) for n in range(50)]
    assert drawn == [shown_order(f"q{n}", 9, some) for n in range(50)]
    assert drawn != [shown_order(f"q{n}", 9, other) for n in range(50)]
    for order, _ in drawn:
        assert sorted(order) == list(range(9))
        assert order[6:] == [6, 7, 8]
        assert all(abs(rank - place) <= 1 for place, rank in enumerate(order))


@pytest.mark.parametrize(("top", "n", "share"), [(4, 6, 0.5), (5, 5, 1.0), (2, 9, 1.0), (6, 3, 0.8)])
def test_chances_are_those_of_the_draws(top, n, share):
    settings = FeedbackSettings(randomise_top=top, randomise_share=share)
    draws = 20_000
    seen: Counter = Counter()
    said = {}
    for number in range(draws):
        order, chances = shown_order(f"q{number}", n, settings)
        for place, (rank, chance) in enumerate(zip(order, chances, strict=True)):
            seen[rank, place] += 1
            assert said.setdefault((rank, place), chance) == chance
    for where, chance in said.items():
        assert seen[where] / draws == pytest.approx(chance, abs=0.015), where
    # All ways an item can stand were drawn: its chances add up to 1.
    for rank in range(n):
        assert sum(chance for (one, _), chance in said.items() if one == rank) == pytest.approx(1)
