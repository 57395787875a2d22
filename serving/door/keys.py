"""API keys: who may ask, where keys are configured."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path

from assay.components.core.errors import BadInput

KEYS = "ASSAY_API_KEYS"
"""Keys parted by commas; two while one replaces the other."""

KEYS_FILE = "ASSAY_API_KEYS_FILE"
"""File of keys, one a line, as a Secret is mounted."""
SHORTEST = 16


class Keys:
    """The keys that open the door; without any it is open.

    Args:
        keys: Each of 16 characters or more.

    Raises:
        BadInput: A key is too short to be one.
    """

    def __init__(self, keys: list[str]):
        if any(len(key) < SHORTEST for key in keys):
            raise BadInput(f"an API key has fewer than {SHORTEST} characters: choose a longer one")
        # Of one length, so that comparing tells nothing of a key.
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Keys:
        """Keys of `ASSAY_API_KEYS` and of the file that `ASSAY_API_KEYS_FILE` names.

        Raises:
            BadInput: The file cannot be read, it or the variable holds no key, or a key is too short.
        """
        named = environment.get(KEYS, "").strip()
        keys = [key.strip() for key in named.split(",") if key.strip()]
        if named and not keys:
            raise BadInput(f"{KEYS} holds no key")
        if file := environment.get(KEYS_FILE):
            try:
                lines = [line.strip() for line in Path(file).read_text().splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError) as error:
                raise BadInput(f"{KEYS_FILE}={file} cannot be read: {type(error).__name__}") from error
            if not lines:
                # An empty file must not open the door to everyone.
                raise BadInput(f"{KEYS_FILE}={file} holds no key")
            keys += lines
        return cls(keys)

    def open(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether these headers hold a key: `Authorization: Bearer KEY` or `X-API-Key: KEY`."""
        if not self._digests:
            return True
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        key = given.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        digest = hashlib.sha256(key).digest()
        # All of them, so that the time says nothing.
        return any([hmac.compare_digest(digest, known) for known in self._digests])
