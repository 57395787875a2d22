"""Version -> champion, or a refusal with its reason; and back."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.components.core.progress import say
from filelock import FileLock, Timeout

LOCK_SECONDS = 60.0
_WITHDRAWN = f"{tracking.TAG}rolled_back_to"


class Refused(Exception):  # noqa: N818 - an outcome, not a fault
    """The alias was not moved; the message is the reason."""


@contextmanager
def registry_lock(name: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the promotion of a model: MLflow has no compare-and-set, so racing promoters overwrite silently.

    Beside a sqlite store, else in this machine's temporary folder, named by the store.

    Raises:
        Refused: Another promotion held it all the time.
    """
    uri = tracking.default_uri()
    digest = hashlib.sha256(f"{uri} {name}".encode()).hexdigest()[:16]
    sqlite = uri.startswith("sqlite:///")
    folder = Path(uri.removeprefix("sqlite:///")).parent if sqlite else Path(tempfile.gettempdir())
    try:
        with FileLock(folder / f".assay-promote-{digest}.lock", timeout=seconds):
            yield
    except Timeout as error:
        raise Refused(f"another promotion of {name} has been under way for {seconds:g} s") from error


def promote(name: str, version: str, expected: str) -> dict[str, str | bool]:
    """Make a version champion, if the champion is still the one it was compared with.

    Args:
        name: Of the registered model.
        version: The challenger's number.
        expected: The champion's number when it was compared; "" where there was none.

    Returns:
        {"promoted": bool, "reason": str, "alias": "champion" or "challenger"}; promoting a champion again is
        promoted, and changes nothing.
    """
    client = tracking.connect()
    try:
        with registry_lock(name):
            found = tracking.version_by_alias(client, name, tracking.CHAMPION)
            current = str(found.version) if found is not None else ""
            if current == version:
                return {"promoted": True, "reason": "is champion already", "alias": tracking.CHAMPION}
            if tracking.find_version(client, name, version).tags.get(_WITHDRAWN):
                raise Refused(f"version {version} was rolled back; `assay promote` brings it back by hand")
            if current != expected:
                raise Refused(
                    f"the champion changed from version {expected or '(none)'} to {current or '(none)'} "
                    "since the challenger was compared with it; run again to compare with the new one"
                )
            _move(client, name, version, current, "promoted")
    except Refused as refusal:
        say("promote", f"refused: {refusal}")
        return {"promoted": False, "reason": str(refusal), "alias": tracking.CHALLENGER}
    reason = f"replaced version {expected}" if expected else "first champion"
    say("promote", f"{name} version {version} is champion ({reason})")
    return {"promoted": True, "reason": reason, "alias": tracking.CHAMPION}


def promote_by_hand(client, name: str, version: str | None = None) -> dict[str, str | bool]:
    """Promote a registered version on a person's word; its gate must have passed all the same.

    Args:
        client: Of MLflow.
        name: Of the registered model.
        version: Its number; the challenger if None.

    Returns:
        {"version", "promoted", "reason"}.

    Raises:
        BadInput: There is no such version.
    """
    found = tracking.version_by_alias(client, name, tracking.CHALLENGER) if version is None else None
    if version is None and found is None:
        raise BadInput(f"{name} has no challenger in {tracking.default_uri()}: `assay run` registers one")
    found = found or tracking.find_version(client, name, version)
    number = str(found.version)
    champion = tracking.version_by_alias(client, name, tracking.CHAMPION)
    current = str(champion.version) if champion is not None else ""
    against = found.tags.get(f"{tracking.TAG}gate_against")
    refusal = ""
    if found.tags.get(f"{tracking.TAG}gate") != "passed":
        refusal = "its gate did not pass; see the report of its run"
    elif number != current and against != (current or "none"):
        refusal = f"its gate passed against version {against}, the champion is {current or 'none'}: run again"
    if refusal:
        return {"version": number, "promoted": False, "reason": refusal}
    if found.tags.get(_WITHDRAWN):
        client.delete_model_version_tag(name, number, _WITHDRAWN)
    return {"version": number, **promote(name, number, current)}


def rollback(name: str) -> tuple[str, str]:
    """Make the previous champion champion again; a second rollback undoes the first.

    Returns:
        (version that is champion now, version that was).

    Raises:
        BadInput: There is no champion, or none before it.
        Refused: Another promotion is under way.
    """
    client = tracking.connect()
    with registry_lock(name):
        champion = tracking.find_version(client, name)
        previous = tracking.version_by_alias(client, name, tracking.PREVIOUS)
        if previous is None:
            raise BadInput(f"{name}: version {champion.version} is champion and there was none before it")
        now, was = str(previous.version), str(champion.version)
        _move(client, name, now, was, "rolled_back")
        # Or the run that made it, started again, would promote it again.
        client.set_model_version_tag(name, was, _WITHDRAWN, now)
        if previous.tags.get(_WITHDRAWN):
            client.delete_model_version_tag(name, now, _WITHDRAWN)
    return now, was


def _move(client, name: str, version: str, current: str, how: str) -> None:
    # The alias last: whoever sees the new champion finds its record.
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    client.set_model_version_tag(name, version, f"{tracking.TAG}{how}_at", when)
    client.set_model_version_tag(name, version, f"{tracking.TAG}{how}_from", current or "none")
    if current:
        client.set_registered_model_alias(name, tracking.PREVIOUS, current)
    client.set_registered_model_alias(name, tracking.CHAMPION, version)
