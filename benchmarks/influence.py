"""Claim: influence of every row on a target costs less than a training step, and less than any peer's.

Work: MiniLM, one-logit cross-encoder after a short warm-up, fp32, real titles (MSRD where ASSAY_DATA is, else
the simulated store), 512 rows and a target of 64 (200 for dattri-llm, which forms all pairs), the same
length-bucketed batches for everybody. CPU seconds of the process that scores; figures are medians of ratios
of paired runs. F is a forward pass over the rows, step a forward and backward pass of all weights.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from assay.components.core.checkpoints import ENCODER, resolve
from assay.components.core.progress import say
from assay.components.core.ranker import Pairs, Ranker, new_ranker
from assay.components.finetune.adapters import wrap
from assay.components.score.gradients.differences import (
    central_difference,
    directional_derivatives,
    one_sided_difference,
)
from assay.components.score.gradients.directions import Direction, row_by_row, target_gradients
from assay.components.score.gradients.ghost import ghost_products
from record import ROOT, record
from scipy.stats import spearmanr

PEERS = ROOT / ".venv-peers" / "attribution"
STEP = 0.01
BATCH = 64


def texts() -> pd.DataFrame:
    """Real graded pairs: context, item, label."""
    folder = os.environ.get("ASSAY_DATA", "")
    if folder:
        pairs = pd.read_parquet(f"{folder}/search_msrd_movies/pairs.parquet")
        found = pairs[["query", "product_title", "grade"]]
    else:
        from assay.examples.store.config import StoreConfig
        from assay.examples.store.simulate import simulate

        found = simulate(StoreConfig()).judgments[["query", "title", "grade"]]
    found = found.set_axis(["context", "item", "label"], axis=1).dropna().sample(frac=1, random_state=0)
    # Both classes alike, so that the target's gradient is not that of one class.
    parts = [part.head(60_000) for _, part in found.groupby(found["label"] > 0)]
    n = min(map(len, parts))
    return pd.concat([part.head(n) for part in parts]).sample(frac=1, random_state=1).reset_index(drop=True)


def rows_of(ranker: Ranker, frame: pd.DataFrame) -> Pairs:
    """Tokenised, longest first within the whole, so that every batch of any size is of one length."""
    pairs = ranker.tokenise(
        frame["context"].tolist(), frame["item"].tolist(), (frame["label"] > 0).to_numpy()
    )
    return pairs.subset(np.argsort(-pairs.lengths, kind="stable"))


def warmed(frame: pd.DataFrame) -> Ranker:
    """A ranker that has learnt a little: gradients of an untrained head are noise."""
    ranker = new_ranker("cross", resolve(ENCODER), 0)
    optimiser = torch.optim.AdamW(ranker.parameters(), lr=5e-5)
    pairs = rows_of(ranker, frame)
    for number in np.random.default_rng(0).permutation(len(pairs)).reshape(-1, 16):
        optimiser.zero_grad()
        ranker.losses(pairs.batch(number.tolist())).mean().backward()
        optimiser.step()
    return ranker.eval()


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of a call, all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def step(ranker: Ranker, rows: Pairs) -> None:
    """Forward and backward of whatever needs a gradient, over all rows."""
    for batch in rows.batches():
        ranker.network.zero_grad()
        ranker.losses(batch.to(ranker.device)).mean().backward()


def extra_memory(work: Callable[[], object]) -> float:
    """Most that resident memory rises above what it was during a call, in MB."""
    page, peak, done = resource.getpagesize(), [0], threading.Event()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], resident())

    before = resident()
    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return (max(peak[0], before) - before) / 1e6


def run_peer(peer: str, ranker: Ranker, rows: Pairs, target: Pairs) -> tuple[np.ndarray, dict[str, float]]:
    """A peer's scores of the rows and its CPU seconds, in a process of its own."""
    if not PEERS.is_dir():
        wanted = ROOT / "benchmarks" / "peers" / "attribution.txt"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PEERS)]
        subprocess.run([*pip, "-r", str(wanted)], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ranker.network.model.save_pretrained(folder / "model")
        work = {
            "train": padded(rows, BATCH), "target": padded(target, BATCH), "batch": BATCH,
            "target_batch": BATCH, "threads": torch.get_num_threads(),
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


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--large", type=int, default=2_000 if os.environ.get("QUICK") else 100_000)
    arguments = parser.parse_args()
    repeats = 1 if os.environ.get("QUICK") else 3
    frame = texts()
    ranker = warmed(frame.tail(480))
    rows = rows_of(ranker, frame.head(arguments.rows))
    target = rows_of(ranker, frame.iloc[arguments.rows : arguments.rows + 64])
    wide = rows_of(ranker, frame.iloc[arguments.rows : arguments.rows + 200])
    lora = new_ranker("cross", resolve(ENCODER), 0)
    wrap(lora, "lora")
    [v] = target_gradients(ranker, target)
    logits = ranker.score(rows).astype(np.float64)

    def whole(rows_of_target: Pairs) -> np.ndarray:
        directions = target_gradients(ranker, rows_of_target)
        return directional_derivatives(ranker, rows, directions, allowed=["central"])[0]

    ways: dict[str, Callable[[], object]] = {
        "forward": lambda: ranker.score(rows),
        "step": lambda: step(ranker, rows),
        "lora_step": lambda: step(lora, rows),
        "central": lambda: central_difference(ranker, rows, v, STEP),
        "one_sided": lambda: one_sided_difference(ranker, rows, v, STEP, logits),
        "ghost": lambda: ghost_products(ranker, rows, [v]),
        "whole": lambda: whole(target),
        "loop": lambda: row_by_row(ranker, rows.subset(range(0, len(rows), 16)), [v]),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        ranker.requires_grad_(True)
        for name, work in ways.items():
            seconds[name].append(cpu(work))
            say("influence", f"{name}: {seconds[name][-1]:.1f} CPU s")
    per = {name: np.array(taken) for name, taken in seconds.items()}
    per["loop"] = per["loop"] * len(rows) / len(range(0, len(rows), 16))
    ratio = lambda a, b: float(np.median(per[a] / per[b]))  # noqa: E731

    exact = row_by_row(ranker, rows, [v])[:, 0]
    agreement = {
        "central": spearmanr(exact, central_difference(ranker, rows, v, STEP)).statistic,
        "one_sided": spearmanr(exact, one_sided_difference(ranker, rows, v, STEP, logits)).statistic,
        "ghost": spearmanr(exact, ghost_products(ranker, rows, [v])[0][:, 0]).statistic,
    }
    [chosen] = directional_derivatives(ranker, rows, [v], logits=logits)[1]

    peers, error = {}, errors(ranker, rows)
    linear = error * ghost_products(ranker, rows, [of_linear_layers(ranker, v)])[0][:, 0]
    [v_wide] = target_gradients(ranker, wide)
    linear_wide = error * ghost_products(ranker, rows, [of_linear_layers(ranker, v_wide)])[0][:, 0]
    for peer, its_target, ours, expected in (
        ("kronfluence", target, ways["whole"], linear),
        ("dattri_llm", wide, lambda: whole(wide), linear_wide),
        ("trak", target, ways["whole"], None),
    ):
        ratios, found = [], np.zeros(0)
        for _ in range(repeats):
            mine = cpu(ours)
            found, taken = run_peer(peer, ranker, rows, its_target)
            say("influence", f"{peer}: {taken['fit'] + taken['score']:.1f} CPU s, ours {mine:.1f}")
            ratios.append((taken["fit"] + taken["score"]) / mine)
        peers[peer] = {"times_our_seconds": float(np.median(ratios)), "seconds": taken}
        if expected is not None:
            peers[peer]["spearman"] = float(spearmanr(expected, found).statistic)

    memory = {}
    for n in (1_000, arguments.large):
        many = rows_of(ranker, frame.iloc[np.arange(n) % len(frame)])
        ranker.score(many.subset(range(0, n, max(1, n // 512))))
        say("influence", f"memory of {n:,} rows")
        memory[n] = extra_memory(lambda many=many: central_difference(ranker, many, v, STEP)) - max(
            0.0, extra_memory(lambda many=many: ranker.score(many))
        )
    figures = {
        "rows": len(rows),
        "tokens_per_row": float(rows.lengths.mean()),
        "cpu_ms_per_row": {name: 1e3 * float(np.median(taken)) / len(rows) for name, taken in per.items()},
        "in_forward_passes": {name: ratio(name, "forward") for name in per},
        "in_lora_steps": {name: ratio(name, "lora_step") for name in ("central", "one_sided", "ghost")},
        "spearman_to_exact": {name: float(value) for name, value in agreement.items()},
        "chosen": chosen,
        "extra_megabytes": {str(n): round(mb, 1) for n, mb in memory.items()},
    }
    budget = {
        "central / step": (ratio("central", "step"), "<=", 0.65),
        "one-sided / step": (ratio("one_sided", "step"), "<=", 0.40),
        "Spearman, central": (figures["spearman_to_exact"]["central"], ">=", 0.999),
        "Spearman, one-sided": (figures["spearman_to_exact"]["one_sided"], ">=", 0.999),
        "kronfluence / ours": (peers["kronfluence"]["times_our_seconds"], ">=", 2.2),
        "Spearman to kronfluence": (peers["kronfluence"]["spearman"], ">=", 0.999),
        "loop / ours": (ratio("loop", "whole"), ">=", 4.5),
        "dattri-llm / ours, 200 target rows": (peers["dattri_llm"]["times_our_seconds"], ">=", 5),
        "Spearman to dattri-llm": (peers["dattri_llm"]["spearman"], ">=", 0.999),
        "TRAK, last layer / ours": (peers["trak"]["times_our_seconds"], ">=", 5),
        "extra MB at 1,000 rows": (memory[1_000], "<=", 150),
        f"extra MB at {arguments.large:,} rows": (memory[arguments.large], "<=", 150),
    }
    record("influence", figures, budget, peers)


if __name__ == "__main__":
    main()
