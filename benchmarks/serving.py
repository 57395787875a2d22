"""Claim: the service costs less per answer than what people run now, and holds under fire.

`make bench NAME=serving` runs what takes minutes; `python benchmarks/serving.py SCENARIO...`, or ONLY=a,b,
runs those named, and `--help` tells them. Each replaces its own part of `results/serving.json` and keeps the
rest. SETTINGS="ASSAY_X=1 ASSAY_Y=2" sets those of our service, BUNDLE names another bundle's folder.
The service is spoken to over HTTP alone. Generator and servers share the machine's cores: what to compare is
the CPU time of a server's process tree, divided by what it answered. The generator's own is told too.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module

from assay.components.core.progress import say
from load.scenarios import SCENARIOS, merged
from record import ROOT, record

BASE = ("base", "rank20", "overload")
FILE = ROOT / "benchmarks" / "results" / "serving.json"


def main() -> None:
    """Run the scenarios named, and write each as soon as it is there."""
    told = "\n".join(f"  {name:10} {about}" for name, (_, about) in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        description=f"Load on the service.\n\n{told}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", nargs="*", help=f"which; {', '.join(BASE)} if none is named, nor in ONLY")
    only = [name for name in os.environ.get("ONLY", "").split(",") if name]
    chosen = parser.parse_args().scenario or only or BASE
    if unknown := [name for name in chosen if name not in SCENARIOS]:
        parser.error(f"no scenario {unknown[0]}: choose from {', '.join(SCENARIOS)}")
    for name in chosen:
        say("serving", f"{name}: {SCENARIOS[name][1]}")
        run = getattr(import_module(f"load.{SCENARIOS[name][0]}"), name)
        found = run(bool(os.environ.get("QUICK")))
        before = json.loads(FILE.read_text()) if FILE.exists() else {}
        both = merged(before, name, found)
        record("serving", both.figures, both.budget, both.peers)


if __name__ == "__main__":
    main()
