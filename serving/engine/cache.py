"""The cache: scores and vectors of texts that come again, by content and by what computed them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_OVERHEAD = 300
"""Bytes of an entry beside its numbers: key, objects, table. Measured with tracemalloc, rounded up."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What is known of a text or a pair.

    Attributes:
        values: (width,) float32.
        truncated: Whether text was cut before it was computed.
    """

    values: np.ndarray
    truncated: bool


class Cache:
    """The results that were used last, within a number of bytes.

    Args:
        max_bytes: 0 keeps nothing.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.bytes = 0
        self._kept: OrderedDict[bytes, Computed] = OrderedDict()

    def get(self, key: bytes) -> Computed | None:
        """A result, or None where it is not there."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, result: Computed) -> None:
        """Keep a result; those not used for longest go."""
        size = result.values.nbytes + _OVERHEAD
        if size > self.max_bytes or key in self._kept:
            return
        # A copy: a row of a batch would keep the whole batch in memory.
        self._kept[key] = Computed(result.values.copy(), result.truncated)
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.bytes -= oldest.values.nbytes + _OVERHEAD


def content_key(digest: bytes, texts: Sequence[str]) -> bytes:
    """Key of a text or a pair.

    Args:
        digest: Of what computes it: another version, part or backend gives other numbers.
        texts: One or two.
    """
    found = hashlib.blake2b(digest, digest_size=16)
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        # With its length, so that no two pairs run together alike.
        found.update(len(raw).to_bytes(4, "little") + raw)
    return found.digest()
