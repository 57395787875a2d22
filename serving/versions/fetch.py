"""Gets a version ready to be served, in a process of its own and behind all others.

`python -m assay.serving.versions.fetch NAME VERSION FOLDER` downloads it, derives its backends, scores its
canary set, and says on its last line what came of it. Not in the worker: importing MLflow, hashing and
exporting would take processor time from requests, and a file that crashes a library takes this process alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from assay.components.core.errors import BadInput
from assay.components.core.tracking import WrongWeightsError
from assay.serving.versions.bundle import PROBE, Bundle, make_bundle
from assay.serving.versions.canary import check
from assay.serving.versions.canary_set import CanarySet
from assay.serving.versions.held import writing
from assay.serving.versions.opened import Opened, OpenVersion
from assay.serving.versions.settings import Following

NICE = 15
PREPARE = "assay.serving.engine.backends.prepare"
"""Module that derives a bundle's backends."""

READY, REFUSED = 0, 2
"""Exit codes: it may serve; it must not. Any other: it could not be got this time."""

STDERR = 2
"""Descriptor; stdout is for the answer."""


def fetch(name: str, version: str, folder: Path) -> Bundle:
    """A registered version as a bundle with a probe.

    Args:
        name: Registered model.
        version: Its number.
        folder: Where the bundle is to be.

    Raises:
        BadInput: There is no such version, or it is pickled.
        WrongWeightsError: What the registry holds is not what was registered.
    """
    with writing(folder):
        bundle = make_bundle(name, version, folder)
        if not (folder / PROBE).is_file() and (canary := CanarySet.read(bundle)):
            canary.probe().write(bundle)
    return bundle


def prepare(bundle: Bundle) -> None:
    """Derive the backends of a bundle, in a process of its own; nothing where the folder cannot be written.

    Raises:
        BadInput: The backend that was asked for is refused; the process has said why.
        RuntimeError: It failed.
    """
    if not os.access(bundle.folder, os.W_OK):
        return
    command = [sys.executable, "-m", PREPARE, str(bundle.folder)]
    code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=STDERR, check=False).returncode
    if code:
        what = f"{bundle.name} version {bundle.version}: its backends could not be derived, see above"
        raise BadInput(what) if code == REFUSED else RuntimeError(f"{what} (exit code {code})")


def open_version(bundle: Bundle) -> Opened:
    """Open a checked bundle as the worker does."""
    from assay.serving.engine.served import ServedModel

    return ServedModel.open(bundle)


def main(arguments: Sequence[str] | None = None, opened_by: OpenVersion = open_version) -> int:
    """The command; its last line on stdout is JSON: `sha256` and `compared`, or `reason`."""
    parser = argparse.ArgumentParser("python -m assay.serving.versions.fetch", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("version")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--current", type=Path, help="bundle in service, to compare with")
    given = parser.parse_args(arguments)
    settings = Following.from_environment()
    try:
        bundle = fetch(given.name, given.version, given.folder)
        prepare(bundle)
        current = None if given.current is None else opened_by(Bundle.open(given.current))
        found = check(bundle, opened_by(bundle), current, settings.tolerance, settings.difference)
    except (BadInput, WrongWeightsError, ArithmeticError) as error:
        print(json.dumps({"reason": str(error)}), flush=True)
        return REFUSED
    said = {"sha256": bundle.sha256["ranker"], "compared": asdict(found), "reason": found.objection}
    print(json.dumps(said), flush=True)
    return REFUSED if found.objection else READY


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    sys.exit(main())
