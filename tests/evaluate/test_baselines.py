import numpy as np
from assay.components.evaluate.baselines import bm25, random_order


def test_bm25_by_hand():
    contexts, items = ["red shoe", "red shoe", "lamp"], ["red shoe", "red red lamp", "shoe rack"]
    found = bm25(contexts, items)
    # 3 items; red, shoe and lamp occur in 2, 2 and 1 of them; lengths 2, 3, 2.
    idf = {w: np.log(1 + (3 - n + 0.5) / (n + 0.5)) for w, n in {"red": 2, "shoe": 2, "lamp": 1}.items()}

    def term(count, length):
        return count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / (7 / 3)))

    assert np.allclose(found, [(idf["red"] + idf["shoe"]) * term(1, 2), idf["red"] * term(2, 3), 0])


def test_texts_without_a_word_score_nothing():
    assert bm25(["?", "!"], ["...", "--"]).tolist() == [0, 0]


def test_the_random_order_is_fixed_by_ids():
    ids = [f"{i}" for i in range(1000)]
    assert np.array_equal(random_order(ids)[::-1], random_order(ids[::-1]))
    assert abs(random_order(ids).mean() - 0.5) < 0.03
