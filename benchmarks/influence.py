"""Claim: influence of every row on a target costs less than a training step, and less than any peer's.

Work: MiniLM, one-logit cross-encoder after a short warm-up, fp32, real titles (MSRD where ASSAY_DATA is, else
the simulated store), 512 rows and a target of 64 (200 for dattri-llm, which forms all pairs), length-bucketed
batches for everybody. CPU seconds of the process that scores; figures are medians of ratios of paired runs.
F is a forward pass over the rows, step a forward and backward pass of all weights as training takes it (with
dropout and the whole last layer; `step_at_rest` is without both). Kronfluence is met by central differences
alone, and by the whole job: the target's gradient, the probe with exact products, the self-check, central
differences; or, as in a run, where the logits are known, one-sided ones. What is beside the differences costs
the same whatever the rows, so kronfluence is met a second time at 4,096 of them.
The loop is timed on 64 of the rows, TRAK on 128, and both are charged by the row.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from assay.components.core.checkpoints import ENCODER, resolve
from assay.components.core.progress import say
from assay.components.core.ranker import Pairs, Ranker, new_ranker
from assay.components.finetune.adapters import merge, wrap
from assay.components.score.gradients.differences import (
    STEPS,
    central_difference,
    directional_derivatives,
    one_sided_difference,
)
from assay.components.score.gradients.directions import Direction, row_by_row, target_gradients
from assay.components.score.gradients.ghost import ghost_products
from pairs import rows_of, texts, warmed
from record import ROOT, record
from scipy.stats import spearmanr

PEERS = ROOT / ".venv-peers" / "attribution"
STEP, ONE_SIDED = STEPS["central"][0], STEPS["one-sided"][0]
"""Those that the self-check tries first, and takes here."""
BATCH = 64
TARGET_BATCH = 16
"""Rows of the peers' batches; a small target in one batch would be padded to its longest row."""


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of a call, all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def step(ranker: Ranker, rows: Pairs, training: bool = True) -> None:
    """Forward and backward of whatever needs a gradient, over all rows."""
    ranker.train(training)
    for batch in rows.batches():
        ranker.network.zero_grad()
        ranker.losses(batch.to(ranker.device)).mean().backward()
    ranker.eval()


def run_peer(peer: str, ranker: Ranker, rows: Pairs, target: Pairs) -> tuple[np.ndarray, dict[str, float]]:
    """A peer's scores of the rows and its CPU seconds, in a process of its own."""
    if not PEERS.is_dir():
        wanted = ROOT / "benchmarks" / "peers" / "attribution.txt"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PEERS)]
        subprocess.run([*pip, "-r", str(wanted)], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if hasattr(ranker.network, "peft_config"):
            merged = copy.deepcopy(ranker)
            merged.network.save_pretrained(folder / "adapter")
            merge(merged)
            merged.save(folder / "ranker")
        else:
            ranker.network.model.save_pretrained(folder / "model")
        work = {
            "train": padded(rows, BATCH), "target": padded(target, TARGET_BATCH), "batch": BATCH,
            "target_batch": TARGET_BATCH, "threads": torch.get_num_threads(),
        }  # fmt: skip
        torch.save(work, folder / "work.pt")
        subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / "peers" / "attribution.py"), peer, str(folder)],
            check=True,
            env=os.environ | {"PYTHONPATH": str(PEERS)},
            stdout=subprocess.DEVNULL,
        )
        found = np.load(folder / f"{peer}.npz")
        return found["scores"], {key: float(found[key]) for key in ("fit", "score")}


def padded(rows: Pairs, batch: int) -> list[dict[str, torch.Tensor]]:
    """Each row, padded to the longest of its batch."""
    found = []
    for start in range(0, len(rows), batch):
        block = rows.batch(list(range(start, min(start + batch, len(rows)))))
        for i in range(len(block)):
            inputs = {key: value[i] for key, value in block.inputs[0].items()}
            found.append(inputs | {"labels": block.labels[i]})
    return found


def of_linear_layers(ranker: Ranker, direction: Direction) -> Direction:
    """The part of a direction that is in linear layers, which is all that the peers look at."""
    linear = {n for n, m in ranker.network.named_modules() if isinstance(m, torch.nn.Linear)}
    return {name: v for name, v in direction.items() if name.rsplit(".", 1)[0] in linear}


def errors(ranker: Ranker, rows: Pairs) -> np.ndarray:
    """sigma(f) - y: what turns a derivative of the logit into one of the loss."""
    return 1 / (1 + np.exp(-ranker.score(rows).astype(np.float64))) - rows.labels.numpy()


def loop(ranker: Ranker, rows: Pairs, direction: Direction) -> np.ndarray:
    """<grad l_i, v>, a row at a time, as whoever has no library writes it. (n,) float64."""
    named = dict(ranker.network.named_parameters())
    out = np.zeros(len(rows))
    for i in range(len(rows)):
        ranker.network.zero_grad()
        ranker.losses(rows.batch([i])).sum().backward()
        found = (torch.dot(p.grad.flatten(), direction[n].flatten()) for n, p in named.items())
        out[i] = float(torch.stack(list(found)).sum())
    return out


def every(rows: Pairs, n: int) -> Pairs:
    """About n of the rows, evenly from the longest to the shortest."""
    return rows.subset(range(0, len(rows), max(1, len(rows) // n)))


def main() -> None:
    """Measure, print, write."""
    quick = bool(os.environ.get("QUICK"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=512, help="of everything")
    parser.add_argument("--large", type=int, default=1024 if quick else 4096, help="of kronfluence once more")
    parser.add_argument("--repeats", type=int, default=1 if quick else 3)
    arguments = parser.parse_args()
    frame = texts()
    ranker = warmed(frame.tail(480))
    target = rows_of(ranker, frame.head(64))
    wide = rows_of(ranker, frame.head(200))
    rows = rows_of(ranker, frame.iloc[200 : 200 + arguments.rows])
    large = rows_of(ranker, frame.iloc[200 : 200 + arguments.large])
    lora = new_ranker("cross", resolve(ENCODER), 0)
    wrap(lora, "lora")
    [v] = target_gradients(ranker, target)
    logits = ranker.score(rows).astype(np.float64)
    some = {"loop": every(rows, 64), "trak": every(rows, 128)}

    def whole(of: Pairs, rows_of_target: Pairs, known: np.ndarray | None = None) -> np.ndarray:
        directions = target_gradients(ranker, rows_of_target)
        allowed = ["central"] if known is None else ["one-sided", "central"]
        return directional_derivatives(ranker, of, directions, logits=known, allowed=allowed)[0]

    ways: dict[str, Callable[[], object]] = {
        "forward": lambda: ranker.score(rows),
        "step": lambda: step(ranker, rows),
        "step_at_rest": lambda: step(ranker, rows, training=False),
        "lora_step": lambda: step(lora, rows),
        "central": lambda: central_difference(ranker, rows, v, STEP),
        "one_sided": lambda: one_sided_difference(ranker, rows, v, ONE_SIDED, logits),
        "ghost": lambda: ghost_products(ranker, rows, [v]),
        "whole": lambda: whole(rows, target),
        "loop": lambda: loop(ranker, some["loop"], v),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.repeats):
        ranker.requires_grad_(True)
        for name, work in ways.items():
            share = len(some[name]) / len(rows) if name in some else 1.0
            seconds[name].append(cpu(work) / share)
            say("influence", f"{name}: {seconds[name][-1]:.2f} CPU s")
    per = {name: np.array(taken) for name, taken in seconds.items()}
    ratio = lambda a, b: float(np.median(per[a] / per[b]))  # noqa: E731

    exact = row_by_row(ranker, rows, [v])[:, 0]
    agreement = {
        "central": spearmanr(exact, central_difference(ranker, rows, v, STEP)).statistic,
        "one_sided": spearmanr(exact, one_sided_difference(ranker, rows, v, ONE_SIDED, logits)).statistic,
        "ghost": spearmanr(exact, ghost_products(ranker, rows, [v])[0][:, 0]).statistic,
    }
    [chosen] = directional_derivatives(ranker, rows, [v], logits=logits)[1]

    peers: dict[str, dict] = {}
    for name, peer, of, its_target, comparable in (
        ("kronfluence", "kronfluence", rows, target, True),
        ("kronfluence_large", "kronfluence", large, target, True),
        ("dattri_llm", "dattri_llm", rows, wide, True),
        ("trak", "trak", some["trak"], target, False),
    ):
        ours_over = rows if peer == "trak" else of
        ratios: dict[str, list[float]] = {"whole job": [], "as in a run": [], "differences": []}
        known = ranker.score(of).astype(np.float64)
        for _ in range(arguments.repeats):
            share = len(of) / len(ours_over)
            [along] = target_gradients(ranker, its_target)
            ours = {
                "whole job": share * cpu(lambda: whole(ours_over, its_target)),  # noqa: B023
                "as in a run": cpu(lambda: whole(of, its_target, known)),  # noqa: B023
                "differences": cpu(lambda: central_difference(ranker, of, along, STEP)),  # noqa: B023
            }
            found, taken = run_peer(peer, ranker, of, its_target)
            theirs = taken["fit"] + taken["score"]
            shown = ", ".join(f"{what} {seconds:.1f}" for what, seconds in ours.items())
            say("influence", f"{name}: {theirs:.1f} CPU s; ours: {shown}")
            for what, seconds_of_ours in ours.items():
                ratios[what].append(theirs / seconds_of_ours)
        peers[name] = {
            "rows": len(of),
            "target_rows": len(its_target),
            "times_ours": {what: float(np.median(found_)) for what, found_ in ratios.items()},
            "seconds": taken,
        }
        if comparable:
            [along] = target_gradients(ranker, its_target)
            products = ghost_products(ranker, of, [of_linear_layers(ranker, along)])[0][:, 0]
            peers[name]["spearman"] = float(spearmanr(errors(ranker, of) * products, found).statistic)
    figures = {
        "rows": len(rows),
        "tokens_per_row": float(rows.lengths.mean()),
        "cpu_ms_per_row": {name: 1e3 * float(np.median(taken)) / len(rows) for name, taken in per.items()},
        "in_forward_passes": {name: ratio(name, "forward") for name in per},
        "central_in_steps_at_rest": ratio("central", "step_at_rest"),
        "in_lora_steps": {name: ratio(name, "lora_step") for name in ("central", "one_sided", "ghost")},
        "loop_over_differences": ratio("loop", "central"),
        "spearman_to_exact": {name: float(value) for name, value in agreement.items()},
        "chosen": chosen,
    }
    budget = {
        "central / step": (ratio("central", "step"), "<=", 0.65),
        "one-sided / step": (ratio("one_sided", "step"), "<=", 0.40),
        "Spearman, central": (figures["spearman_to_exact"]["central"], ">=", 0.999),
        "Spearman, one-sided": (figures["spearman_to_exact"]["one_sided"], ">=", 0.999),
        **{
            f"kronfluence / {what}, {peers[name]['rows']} rows": (times, ">=", 2.2)
            for name in ("kronfluence", "kronfluence_large")
            for what, times in peers[name]["times_ours"].items()
        },
        "Spearman to kronfluence": (peers["kronfluence"]["spearman"], ">=", 0.999),
        "loop / ours": (ratio("loop", "whole"), ">=", 4.5),
        "dattri-llm / ours, 200 target rows": (peers["dattri_llm"]["times_ours"]["whole job"], ">=", 5),
        "Spearman to dattri-llm": (peers["dattri_llm"]["spearman"], ">=", 0.999),
        "TRAK, last layer / ours": (peers["trak"]["times_ours"]["whole job"], ">=", 5),
    }
    record("influence", figures, budget, peers)


if __name__ == "__main__":
    main()
