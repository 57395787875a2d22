"""Half an hour of ordinary traffic: memory does not grow."""

from __future__ import annotations

import os
import time

import numpy as np
from assay.components.core.progress import say

from . import bodies
from .found import Found
from .generator import Apart, closed, load, open_loop
from .model import bundle
from .servers import ours, running

MINUTES = 30.0
SHARE = 0.7
EVERY = 5.0
"""Seconds between two looks at memory."""

WARM = 0.1
"""Of the time, before which growth is warming up: caches fill, allocators learn sizes."""


def middle(values: np.ndarray, rows: np.ndarray) -> float:
    """Median of some."""
    return float(np.median(values[rows]))


def soak(quick: bool) -> Found:
    """70 % of the peak of mixed traffic: ten `/embed` to one `/rank`, one `/v1/rerank` and two `/score`.

    Growth is the median of the last tenth of the time over that of the tenth that follows the warm-up.
    """
    minutes = float(os.environ.get("MINUTES") or (1.0 if quick else MINUTES))
    texts = bodies.Texts()
    # More than the service's cache holds, so that none is found there when it comes again.
    some = 6_000
    kinds = [
        *texts.embeds(bodies.embed, 10 * some),
        *texts.ranks(some),
        *texts.reranks(some),
        *texts.scores(2 * some),
    ]
    requests = [kinds[n] for n in np.random.default_rng(0).permutation(len(kinds))]
    seen_mb: list[tuple[float, float, float]] = []
    with running(server := ours(bundle())):
        most = load(closed, server.target, requests, 16, 4.0 if quick else 10.0).summary()["per_second"]
        began, told = time.monotonic(), 0.0
        with Apart(open_loop, server.target, requests, SHARE * most, minutes * 60.0) as under:
            while not under.ended:
                now, memory = time.monotonic() - began, server.memory()
                seen_mb.append((now, memory["worker_mb"], memory["tree_mb"]))
                if now - told > 60.0:
                    told = now
                    say(
                        "serving",
                        f"{now / 60:.0f} of {minutes:.0f} minutes, worker {memory['worker_mb']:.0f} MB",
                    )
                time.sleep(EVERY)
            seen = under.seen()
    times, worker, tree = (np.array(column) for column in zip(*seen_mb, strict=True))
    share = times / times[-1]
    early, late = (share >= WARM) & (share < 2 * WARM), share >= 1 - WARM
    figures = {
        "minutes": minutes,
        "peak_per_second": most,
        "load": seen.summary(),
        "worker_mb": {"start": worker[0], "early": middle(worker, early), "late": middle(worker, late)},
        "tree_mb": {"start": tree[0], "early": middle(tree, early), "late": middle(tree, late)},
        "worker_mb_by_tenth": [
            middle(worker, (share >= n / 10) & (share <= (n + 1) / 10)) for n in range(10)
        ],
    }
    return Found(
        figures,
        {
            "soak: memory late / early": (
                middle(worker, late) / middle(worker, early),
                "<=",
                1.05,
            ),
            "soak: failed requests": (int((~seen.ok).sum()), "<=", 0.0),
        },
    )
