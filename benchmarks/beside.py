"""Peers of near-duplicates and coverage, in a folder and in processes of their own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from record import ROOT

PEERS = ROOT / ".venv-peers" / "subsets"
MOST = 100
"""CPU seconds that a peer may take."""


def peer(name: str, vectors: np.ndarray, **work: Any) -> dict[str, np.ndarray] | str:
    """What a peer found on some vectors, or in words why it could not run.

    Args:
        name: A peer of `peers/subsets.py`.
        vectors: (n, d) float32, unit length.
        work: Its arguments.
    """
    if not PEERS.is_dir():
        wanted = ROOT / "benchmarks" / "peers" / "subsets.txt"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PEERS)]
        subprocess.run([*pip, "-r", str(wanted)], check=False)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        np.save(folder / "vectors.npy", vectors)
        (folder / "work.json").write_text(json.dumps(work))
        ran = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / "peers" / "subsets.py"), name, str(folder)],
            check=False, capture_output=True, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (MOST, MOST + 5)),
            env=os.environ | {"PYTHONPATH": str(PEERS), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
        )  # fmt: skip
        if ran.returncode == -signal.SIGXCPU:
            return f"stopped after {MOST} CPU s"
        if ran.returncode:
            return f"could not run: {(ran.stderr.strip() or str(ran.returncode)).splitlines()[-1]}"
        return dict(np.load(folder / f"{name}.npz"))
