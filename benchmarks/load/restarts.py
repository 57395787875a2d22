"""Replicas are restarted one after the other under load, as a rollout does it: no request is lost."""

from __future__ import annotations

import time

from assay.components.core.progress import say

from . import bodies
from .balancer import Balancer
from .found import Found
from .generator import Apart, Target, closed, load, open_loop
from .model import bundle
from .servers import ours, running

RESTARTS = 20
SHARE = 0.3
"""Of one replica's peak: while one restarts on the same two cores, the other carries all."""

LEAVING = 1.0
"""Seconds between the preStop hook's beginning and SIGTERM; ten times what the balancer needs to see it."""


def restarts(quick: bool) -> Found:
    """20 restarts of two replicas in turn, each of two ways by turns.

    `preStop`: the replica is taken out of the balancer, as Kubernetes takes a terminating pod out of a
    Service; then comes SIGTERM. `SIGTERM`: the signal alone; the balancer sees nothing but `/readyz`, so that
    the replica must say that it is not ready, and still answer what comes until the balancer has seen it.
    """
    count = 4 if quick else RESTARTS
    texts, first = bodies.Texts(), ours(bundle(), name="assay a")
    # The second finds what the first has prepared in the bundle.
    with running(first), running(second := ours(bundle(), name="assay b")):
        servers = [first, second]
        most = load(closed, first.target, texts.ranks(1_000), 16, 4.0).summary()["per_second"]
        requests = texts.ranks(int(SHARE * most * count * 20.0))
        with Balancer([server.port for server in servers]) as balancer:
            while not all(replica.ready for replica in balancer.replicas.values()):
                time.sleep(0.1)
            codes: list[int] = []
            took: list[float] = []
            lost: dict[str, dict[str, int]] = {"preStop": {}, "SIGTERM": {}}
            # As long as it takes; the length is that of a run in which something hangs.
            with Apart(open_loop, Target(balancer.port), requests, SHARE * most, count * 120.0) as under:
                time.sleep(2.0)
                for number in range(count):
                    # Each replica by each way.
                    server, way = servers[number % 2], list(lost)[number // 2 % 2]
                    replica, before = balancer.replicas[server.port], dict(balancer.lost)
                    if way == "preStop":
                        replica.out = True
                        time.sleep(LEAVING)
                    began = time.monotonic()
                    code = server.stop()
                    codes.append(-1 if code is None else code)
                    took.append(time.monotonic() - began)
                    replica.out = False
                    server.start().wait_until_ready()
                    while not replica.ready:
                        time.sleep(0.05)
                    time.sleep(1.0)
                    for why, n in balancer.lost.items():
                        if n > before.get(why, 0):
                            lost[way][why] = lost[way].get(why, 0) + n - before.get(why, 0)
                    say(
                        "serving",
                        f"restart {number + 1} ({way}): exit code {codes[-1]} after {took[-1]:.1f} s, "
                        f"lost so far {dict(balancer.lost)}",
                    )
                if under.ended:
                    raise RuntimeError("the load ended before the last restart")
                seen = under.seen()
            answered = {str(port): replica.answered for port, replica in balancer.replicas.items()}
    figures = {
        "restarts": count,
        "load": seen.summary(),
        "lost_by_way": lost,
        "answered_by": answered,
        "exit_codes": codes,
        "seconds_to_end": took,
    }
    return Found(
        figures,
        {
            f"lost requests, {RESTARTS} restarts": (int((~seen.ok).sum()), "<=", 0.0),
            "exit codes that are not 0": (sum(code != 0 for code in codes), "<=", 0.0),
        },
    )
