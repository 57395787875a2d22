"""Tags, the best sequence that obeys them, and words cut out of tokens."""

import itertools

import numpy as np
import pytest
from assay.components.embed.labelling import Scheme, shapes, word_vectors, words_of

SCHEME = Scheme(["brand", "colour"])


def obeys(tags):
    """Inside only after the same kind's beginning or inside."""
    return all(t % 2 or t == 0 or (place and tags[place - 1] in (t, t - 1)) for place, t in enumerate(tags))


@pytest.mark.parametrize("seed", range(20))
def test_the_sequence_is_the_best_of_all_that_obey(seed):
    scores = np.random.default_rng(seed).normal(size=(4, SCHEME.size)) * 3
    allowed = [tags for tags in itertools.product(range(SCHEME.size), repeat=4) if obeys(tags)]
    best = max(allowed, key=lambda tags: sum(scores[i, t] for i, t in enumerate(tags)))
    assert SCHEME.decode(scores).tolist() == list(best)


def test_entities_survive_being_tagged():
    entities = [(0, 2, "brand"), (2, 3, "brand"), (4, 6, "colour")]
    tags = SCHEME.tags(7, entities)
    assert tags.tolist() == [1, 2, 1, 0, 3, 4, 0]
    assert SCHEME.entities(tags) == entities
    assert SCHEME.decode(np.zeros((0, 5))).tolist() == []


def test_words_are_runs_of_letters_signs_and_single_characters_of_scripts_without_spaces():
    text = "VX-204 26cm 酒店 café"
    assert [text[a:b] for a, b in words_of(text)] == ["VX", "-", "204", "26cm", "酒", "店", "café"]


def test_a_word_is_the_mean_of_its_tokens_and_nothing_where_the_text_was_cut():
    hidden = np.arange(10, dtype=np.float32).reshape(5, 2)
    offsets = [(0, 0), (0, 2), (2, 5), (6, 9), (0, 0)]
    found = word_vectors([(0, 5), (6, 9), (10, 12)], offsets, hidden)
    assert found.tolist() == [[3, 4], [6, 7], [0, 0]]
    assert shapes("Red 42", words_of("Red 42")).tolist()[1][:2] == [1, 1]
