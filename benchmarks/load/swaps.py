"""The version changes under load: nobody notices."""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter

import numpy as np
from assay.components.core.progress import say

from . import bodies
from .found import Found
from .generator import Apart, closed, load, open_loop
from .model import NAME, VERSIONS, point, registry
from .servers import FOLDER, Server, ask, ours, running

SWAPS = 10
SHARE = 0.5
"""Of the peak, which the load is: a server that has nothing to spare shows its queue, not its swap."""

PATIENCE = 180.0
"""Seconds that a swap may take."""

FOLLOW = {"ASSAY_FOLLOW_MODE": "follow", "ASSAY_FOLLOW_SECONDS": "1", "ASSAY_FOLLOW_PROBATION_SECONDS": "2"}


def following() -> Server:
    """A server that follows the champion of the two versions."""
    variables = {"MLFLOW_TRACKING_URI": registry(), "ASSAY_CACHE": str(FOLDER / "cache"), **FOLLOW}
    return ours(None, "--name", NAME, name="assay following", **variables)


def served(server: Server, probe: bytes) -> str:
    """Number of the version that answers."""
    return ask(server.port, probe).header("x-model-version") or ""


def swaps(quick: bool) -> Found:
    """10 moves of the alias to and fro at half of the peak: what failed, and p99 while it changes.

    A swap lasts from the move of the alias to a second after the first answer of the other version. Requests
    that were under way in it are its own; the others are what they are compared with.
    """
    count, quiet = (2, 5.0) if quick else (SWAPS, 15.0)
    os.environ["MLFLOW_TRACKING_URI"] = registry()
    point(VERSIONS[0])
    texts = bodies.Texts()
    probe = bodies.rank("red shoe", ["running shoe, red", "kettle"])
    with running(server := following()):
        most = load(closed, server.target, texts.ranks(1_000), 16, 4.0).summary()["per_second"]
        # As many as come once if swaps take as long as they should: those that come again are in its cache.
        requests = texts.ranks(int(SHARE * most * count * (quiet + 10.0)))
        long = count * (quiet + PATIENCE)
        changes: list[tuple[float, float]] = []
        with Apart(open_loop, server.target, requests, SHARE * most, long, warm=5.0) as under:
            time.sleep(5.0)
            for number in range(count):
                time.sleep(quiet)
                began, wanted = time.monotonic(), VERSIONS[(number + 1) % 2]
                point(wanted)
                while served(server, probe) != wanted:
                    if time.monotonic() - began > PATIENCE:
                        raise RuntimeError(
                            f"no answer of version {wanted} after {PATIENCE} s; see {server.log}"
                        )
                    time.sleep(0.1)
                changes.append((began, time.monotonic() + 1.0))
                say("serving", f"swap {number + 1}: {changes[-1][1] - began - 1:.1f} s to version {wanted}")
            if under.ended:
                raise RuntimeError("the load ended before the last swap")
            seen = under.seen()
        memory = server.memory()
    during = np.zeros(len(seen.begun), bool)
    for began, ended in changes:
        during |= (seen.begun <= ended) & (seen.begun + seen.seconds >= began)
    of = {"during": seen.p(99, during), "else": seen.p(99, ~during)}
    lasted = [ended - began - 1.0 for began, ended in changes]
    figures = {
        "swaps": count,
        "load": seen.summary(),
        "peak_per_second": most,
        "seconds_to_other_version": lasted,
        "median_seconds": statistics.median(lasted),
        "p99_ms": of,
        "answers_by_version": Counter(seen.versions.tolist()),
        "memory": memory,
    }
    failed = int((~seen.ok).sum())
    return Found(
        figures,
        {
            f"failed requests, {SWAPS} swaps": (failed, "<=", 0.0),
            "p99 during a swap / else": (of["during"] / of["else"], "<=", 2.0),
        },
    )
