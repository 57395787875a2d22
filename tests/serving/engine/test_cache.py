"""What was used last is kept, within its bytes, and never for another text, version or backend."""

from __future__ import annotations

import tracemalloc

import numpy as np
from assay.serving.engine.cache import Cache, Computed, content_key
from hypothesis import given
from hypothesis import strategies as st

ONE = Computed(np.ones(4, dtype=np.float32), False)
SIZE = 4 * 4 + 300


def test_the_least_recently_used_goes_first():
    cache = Cache(3 * SIZE)
    for key in (b"a", b"b", b"c"):
        cache.put(key, ONE)
    assert cache.get(b"a") is not None
    cache.put(b"d", ONE)
    assert cache.get(b"b") is None
    assert [cache.get(key) is not None for key in (b"a", b"c", b"d")] == [True] * 3
    assert cache.bytes == 3 * SIZE


def test_no_bytes_keep_nothing():
    cache = Cache(0)
    cache.put(b"a", ONE)
    assert cache.get(b"a") is None


def test_a_kept_row_does_not_keep_its_batch():
    cache = Cache(SIZE)
    batch = np.zeros((1000, 4), dtype=np.float32)
    cache.put(b"a", Computed(batch[3], False))
    assert cache.get(b"a").values.base is None


def test_its_memory_is_what_it_counts():
    cache = Cache(4_000_000)
    tracemalloc.start()
    for number in range(3000):
        cache.put(content_key(b"x", [str(number)]), Computed(np.zeros(384, dtype=np.float32), False))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held <= 1.1 * cache.bytes


rows = st.tuples(st.sampled_from([b"v1", b"v2"]), st.lists(st.text(max_size=3), min_size=1, max_size=2))


@given(rows, rows)
def test_keys_are_equal_where_all_is_equal(one, other):
    assert (content_key(*one) == content_key(*other)) == (one == other)
