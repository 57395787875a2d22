"""The version that a service starts with, and what keeps it up to date from then on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.components.core import tracking
from assay.components.core.errors import BadInput
from assay.serving.versions.assignment import ANSWERS, ASSIGNMENT, VARIABLE, Assigned, Assignment
from assay.serving.versions.bundle import Bundle
from assay.serving.versions.fetch import fetch, prepare
from assay.serving.versions.follower import Follower
from assay.serving.versions.held import Held
from assay.serving.versions.settings import Following


@dataclass(frozen=True)
class Started:
    """What the worker is given.

    Attributes:
        bundle: Of the first version.
        variables: Environment variables of the worker.
    """

    bundle: Bundle
    variables: dict[str, str]


@contextlib.contextmanager
def starting(
    name: str, version: str | None, bundles: Path, at: str, settings: Following
) -> Iterator[Started]:
    """The first version, fetched and checked; while inside, it is kept up to date.

    A service that follows starts with the champion. Where it cannot be had or was refused before, it starts
    with what it served last at the same address: a pod that restarts while the registry is down comes up.

    Args:
        name: Registered model.
        version: Its number; None for the champion.
        bundles: Folder for those of the model.
        at: Tells services of one folder apart: their address.
        settings: What to follow.

    Raises:
        BadInput: There is no such version, no champion, or the bundle is damaged.
        WrongWeightsError: The registry's weights are not those that were registered.
        RuntimeError: What computes the bundle could not be made.
    """
    if settings.mode == "pinned" and not settings.shares:
        with contextlib.ExitStack() as claims:
            yield Started(_fetched(name, _number(name, version), bundles, claims), settings.environment())
        return
    # A registry that does not answer is asked again soon anyway.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    state = bundles / f"at-{at}"
    last = None
    with contextlib.suppress(BadInput):
        last = Assignment.read(state / ASSIGNMENT)
    with contextlib.ExitStack() as claims:
        bundle, refused = _first(name, version, bundles, last, settings, claims)
        shares = settings.shadow_share, settings.canary_share
        assignment = Assignment(name, settings.mode, Assigned.of(bundle), None, *shares, refused)
        file = assignment.write(state)
        (state / ANSWERS).unlink(missing_ok=True)
        follower = Follower(assignment, state, bundles.resolve(), settings, bundle.canary_sha256)
        # It has claims of its own, and lets a folder go when nothing in it is served any more.
        claims.close()
        follower.start()
        try:
            yield Started(bundle, {VARIABLE: str(file.resolve()), **settings.environment()})
        finally:
            follower.stop()


def _first(
    name: str,
    version: str | None,
    bundles: Path,
    last: Assignment | None,
    settings: Following,
    claims: contextlib.ExitStack,
) -> tuple[Bundle, dict[str, str]]:
    """The first version's bundle, and why other versions are refused."""
    refused = dict(last.refused) if last is not None else {}
    if settings.mode == "pinned" or last is None:
        return _fetched(name, _number(name, version), bundles, claims), refused
    try:
        wanted = Assigned.registered(tracking.find_version(tracking.connect(), name, None), bundles)
        if wanted.key in refused:
            reason = f"version {wanted.version} was refused: {refused[wanted.key]}"
        else:
            try:
                return _fetched(name, wanted.version, bundles, claims), refused
            except (BadInput, tracking.WrongWeightsError) as error:
                refused[wanted.key] = reason = str(error)
    except (BadInput, RuntimeError) as error:
        reason = str(error)
    except Exception as error:  # Whatever a registry fails with: what was served last needs none.
        reason = f"the registry does not answer ({type(error).__name__})"
    claims.callback(Held(bundles / last.champion.version).let_go)
    bundle = Bundle.open(last.champion.folder)
    print(f"{reason}: starting with version {bundle.version}, the last served", file=sys.stderr, flush=True)
    return bundle, refused


def _number(name: str, version: str | None) -> str:
    # By number: a promotion must not replace what a running service's next worker opens.
    return str(tracking.find_version(tracking.connect(), name, version).version)


def _fetched(name: str, number: str, bundles: Path, claims: contextlib.ExitStack) -> Bundle:
    folder = bundles / number
    claims.callback(Held(folder).let_go)
    bundle = fetch(name, number, folder)
    prepare(bundle)
    return bundle
