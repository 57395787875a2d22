"""Steady load: one title a request beside the peers, 20 candidates a request, and what a cache helps."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from assay.components.core.progress import say

from . import bodies
from .found import Found
from .generator import closed, load
from .model import bundle
from .servers import Server, ask, bentoml_unbatched, fastapi, infinity, ours, running

CONCURRENCY = (1, 8, 32)
AT = 32
"""Concurrency that the budget is read at."""

FASTEST = 700
"""Answers a second that no server here gives: so many distinct requests are made."""

REPEATED = 100
"""Distinct titles of the load that a cache helps."""


def alike(servers: list[Server]) -> dict[str, float]:
    """Cosine of each server's vector of a title to the first one's.

    Raises:
        RuntimeError: Another model is served: the comparison would be of nothing.
    """
    title = bodies.titles()[-1]
    vectors = {server.name: bodies.vector(ask(server.port, server.embed(title))) for server in servers}
    first = vectors[servers[0].name]
    cosines = {
        name: float(v @ first / np.linalg.norm(v) / np.linalg.norm(first)) for name, v in vectors.items()
    }
    if min(cosines.values()) < 0.98:
        raise RuntimeError(f"the servers do not give the same vectors: {cosines}")
    return cosines


def answered(
    server: Server, requests: list[bytes], c: int, seconds: float, again: bool = False
) -> dict[str, Any]:
    """Summary of a closed load whose every request was answered 200.

    Args:
        server: It.
        requests: Sent in their order.
        c: Callers.
        seconds: Measured.
        again: Whether requests may come again.

    Raises:
        RuntimeError: One was not, or requests came again: costs per answer would be of something else.
    """
    seen = load(closed, server.target, requests, c, seconds)
    if not len(seen.statuses) or not seen.ok.all():
        raise RuntimeError(f"{server.name}, c={c}: {seen.summary()['statuses']}, {seen.reasons}")
    if len(seen.statuses) > len(requests) and not again:
        raise RuntimeError(
            f"{server.name}, c={c}: only {len(requests)} requests, and {len(seen.statuses)} sent"
        )
    told = seen.summary()
    say(
        "serving",
        f"{server.name}, c={c}: {told['per_second']:.0f}/s, p50 {told['p50_ms']:.0f} ms, "
        f"p99 {told['p99_ms']:.0f} ms, {told['cpu_ms_per_answer']:.2f} CPU ms an answer",
    )
    return told


def medians(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """Median of each number over the rounds."""
    names = [name for name, value in rounds[0].items() if isinstance(value, float)]
    return {name: statistics.median(each[name] for each in rounds) for name in names}


def ratio(rounds: list[dict[str, Any]], beside: list[dict[str, Any]]) -> float:
    """Median of the paired ratios of the CPU time of an answer."""
    cpu = ([each["cpu_ms_per_answer"] for each in these] for these in (rounds, beside))
    return statistics.median(a / b for a, b in zip(*cpu, strict=True))


def base(quick: bool) -> Found:
    """One title a request at 1, 8 and 32 callers: ours by default, ours on torch, and the peers.

    All servers are up; those that are not asked rest. They alternate within a round, and a ratio is the
    median over rounds of the two figures of one round.
    """
    rounds, seconds = (1, 2.0) if quick else (3, 6.0)
    # Two servers may not prepare the same bundle's files at one time.
    default = ours(bundle(), name="assay")
    with running(default):
        torch = ours(bundle(), name="assay torch", ASSAY_BACKEND_NAME="torch")
        servers = [torch, fastapi(), bentoml_unbatched(), infinity()]
        with running(*servers):
            servers = [default, *servers]
            cosines = alike(servers)
            texts = {server.name: bodies.Texts() for server in servers}
            found: dict[str, dict[int, list]] = {s.name: {c: [] for c in CONCURRENCY} for s in servers}
            for number in range(rounds):
                for c in CONCURRENCY:
                    for server in servers if number % 2 == 0 else servers[::-1]:
                        requests = texts[server.name].embeds(server.embed, int((seconds + 1) * FASTEST))
                        found[server.name][c].append(answered(server, requests, c, seconds))
            memory = {server.name: server.memory() for server in servers}
            few = texts["assay"].embeds(default.embed, REPEATED)
            cached = answered(default, few, AT, seconds, again=True)
    at = {name: each[AT] for name, each in found.items()}
    mine, plain, batching = at["assay"], at["bentoml unbatched"], at["infinity-emb"]
    same = at["assay torch"]
    figures = {
        "rounds": rounds,
        "seconds": seconds,
        "one_title": {
            name: {str(c): medians(each) for c, each in by.items()}
            for name, by in found.items()
            if "assay" in name
        },
        "one_title_of_100_over_again": {str(AT): cached},
        "cosine_to_ours": cosines,
        "memory": {name: each for name, each in memory.items() if "assay" in name},
        "same_backend_cpu": {
            peer: ratio(same, at[peer]) for peer in ("fastapi", "bentoml unbatched", "infinity-emb")
        },
    }
    peers = {
        name: {"memory": memory[name], **{str(c): medians(each) for c, each in by.items()}}
        for name, by in found.items()
        if "assay" not in name
    }
    budget = {
        f"cpu an answer at c={AT} / unbatched BentoML": (ratio(mine, plain), "<=", 0.35),
        f"cpu an answer at c={AT} / infinity-emb": (ratio(mine, batching), "<=", 0.65),
    }
    return Found(figures, budget, peers)


def rank20(quick: bool) -> Found:
    """One `/rank` of 20 candidates, against 20 calls of `/score`, at 1, 8 and 32 callers.

    The cache is small: it has the query of 20 lone scores, and no title from before they began again.
    """
    rounds, seconds = (1, 3.0) if quick else (3, 8.0)
    texts, found = bodies.Texts(), {c: {"rank": [], "score": []} for c in CONCURRENCY}
    with running(server := ours(bundle(), ASSAY_LIMIT_CACHE_BYTES=str(1 << 20))):
        for number in range(rounds):
            for c in CONCURRENCY:
                kinds = {
                    "rank": texts.ranks(int((seconds + 1) * FASTEST // 5)),
                    "score": texts.scores(int((seconds + 1) * FASTEST)),
                }
                for kind in list(kinds) if number % 2 == 0 else list(kinds)[::-1]:
                    say("serving", f"/{kind}")
                    found[c][kind].append(answered(server, kinds[kind], c, seconds))
    ratios = {c: ratio(each["rank"], each["score"]) / bodies.CANDIDATES for c, each in found.items()}
    figures = {
        kind: {str(c): medians(each[kind]) for c, each in found.items()} for kind in ("rank", "score")
    } | {"rank_over_20_scores_cpu": {str(c): value for c, value in ratios.items()}}
    # The more callers, the harder is the bar: lone scores of many are batched too.
    return Found(
        figures, {f"/rank of 20 / 20 /score, cpu, c={c}": (value, "<=", 0.25) for c, value in ratios.items()}
    )
