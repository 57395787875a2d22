"""Categories told by texts that were not learnt from, or refused."""

import numpy as np
import pytest
from assay.components.embed.categories import agreement, categories

RNG = np.random.default_rng(0)
TEXTS = [f"text {i}" for i in range(300)]
KIND = np.arange(300) % 3
VECTORS = np.eye(3)[KIND] + RNG.normal(size=(300, 3)) * 0.2


def test_categories_are_told_of_texts_without_a_label():
    labels = {i: "abc"[KIND[i]] for i in range(200)}
    told, facts = categories(TEXTS, VECTORS, labels)
    assert np.allclose(told.sum(1), 1)
    assert (told[200:].argmax(1) == KIND[200:]).mean() > 0.95
    assert facts["accuracy"] > 0.95
    found = agreement(told, np.array([200, 200]), np.array([203, 201]))
    same, other = found["category agreement of query and item"]
    assert same > 0.8 > 0.2 > other


def test_no_text_is_told_by_a_classifier_that_saw_its_label():
    """Vectors by which every label can be learnt by heart, and labels that nothing tells."""
    rng = np.random.default_rng(1)
    labels = {i: "xyz"[rng.integers(3)] for i in range(200)}
    with pytest.raises(ValueError, match=r"do not tell their category: 0\.[234]\d of unseen texts right"):
        categories(TEXTS, np.eye(300), labels)


def test_what_cannot_be_told_is_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="do not tell their category"):
        categories(TEXTS, VECTORS, {i: "xyz"[rng.integers(3)] for i in range(200)})
    with pytest.raises(ValueError, match="1 categories have 10 texts or more"):
        categories(TEXTS, VECTORS, {i: "all" for i in range(200)})
