"""What a server's processes use: CPU seconds and memory of the whole tree, from the kernel."""

from __future__ import annotations

import contextlib

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a tree, those of its ended and waited-for children included."""
    total = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident(pid: int) -> dict[str, float]:
    """Resident memory in MB: of the whole tree, and of its largest process, which is the worker."""
    sizes = []
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            sizes.append(process.memory_info().rss / 1e6)
    return {"tree_mb": sum(sizes), "worker_mb": max(sizes, default=0.0)}
