"""Pseudonyms in place of the ids of people: a keyed hash, the same wherever an id is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from assay.components.core.errors import BadInput

KEY, KEY_FILE = "ASSAY_ID_KEY", "ASSAY_ID_KEY_FILE"
LEAST_KEY = 16
"""Bytes of a key: fewer can be tried out."""


def id_key(file: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> bytes:
    """The key of the pseudonyms: `ASSAY_ID_KEY`, or the content of a file (`ASSAY_ID_KEY_FILE` if None).

    It is never logged nor written: who has it can tell which pseudonym is whose.

    Raises:
        BadInput: There is none, it cannot be read, or it is too short.
    """
    where, key = KEY, environment.get(KEY, "").encode()
    file = file or (environment.get(KEY_FILE) if not key else None)
    if file:
        try:
            where, key = str(file), Path(file).read_bytes().strip()
        except OSError as error:
            raise BadInput(f"{file}: the key of the pseudonyms cannot be read: {error.strerror}") from error
    if not key:
        raise BadInput(
            f"no key for pseudonyms: set {KEY}, or {KEY_FILE} to a file that holds one "
            "(e.g. made by openssl rand -hex 32)"
        )
    if len(key) < LEAST_KEY:
        raise BadInput(f"{where}: a key of {len(key)} bytes can be tried out; give {LEAST_KEY} or more")
    return key


def pseudonym(value: str, key: bytes) -> str:
    """32 hex digits in place of an id: the same id and key give the same ones, and no one else can tell.

    blake2b in its keyed mode (RFC 7693), 128 bits.
    """
    return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16, key=key[:64]).hexdigest()
