"""The scenarios, and how what one found goes beside what others did."""

from __future__ import annotations

from typing import Any

from record import commit, machine

from .found import Found
from .servers import settings

SCENARIOS = {
    "base": ("steady", "one title a request at 1, 8 and 32 callers, beside the peers"),
    "rank20": ("steady", "one /rank of 20 candidates against 20 calls of /score"),
    "overload": ("overload", "four times as many requests as the peak"),
    "swaps": ("swaps", "10 swaps of the version under load"),
    "restarts": ("restarts", "20 restarts of two replicas behind a balancer under load"),
    "fuzz": ("fuzz", "10,000 bodies that nobody should send"),
    "soak": ("soak", "30 minutes at 70 % of the peak; MINUTES sets another length"),
}
"""Name: (module of `load/` that holds the function of that name, what it is)."""


def merged(before: dict[str, Any], scenario: str, found: Found) -> Found:
    """A scenario's part put in the place of its older one, the rest as it was."""
    figures, peers = dict(before.get("figures", {})), dict(before.get("peers", {}))
    budget = {
        name: (line["value"], line["op"], line["bound"]) for name, line in before.get("budget", {}).items()
    }
    for name in figures.get(scenario, {}).get("budget", []):
        budget.pop(name, None)
    # Scenarios are measured apart, so each tells of which code and on what.
    told = {"commit": commit(), "machine": machine(), "settings": settings(), "budget": list(found.budget)}
    figures[scenario] = told | found.figures
    if found.peers:
        peers[scenario] = found.peers
    return Found(figures, budget | found.budget, peers)
