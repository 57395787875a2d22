"""Claim: the linear datamodeling score (LDS) of each kind of influence, beside kronfluence's EK-FAC.

Work: MiniLM, one-logit cross-encoder, warmed on other rows. Its LoRA adapter is trained on 500 real rows
(MSRD where ASSAY_DATA is, else the simulated store), and on 50 random halves of them; the mean loss of 200
target rows after each is what a score has to foretell. LDS is the Spearman of the sums of the scores in each
half with those losses (Park et al. 2023, "TRAK"). A seed fixes adapter, order of rows and halves. Three
seeds, each with its own trainings, which are kept under runs/bench-lds and not done again. QUICK=1: one seed.

METHOD=module:function runs anybody's method beside them: it is called with a `Work`, and returns (n,)
numbers, high where training on the row lowers the loss of the target.
"""

from __future__ import annotations

import copy
import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from assay.components.core.progress import say
from assay.components.core.ranker import Pairs, Ranker
from assay.components.core.samples import text_id
from assay.components.finetune.adapters import wrap
from assay.components.score.gradients.differences import directional_derivatives
from assay.components.score.gradients.directions import parameters, target_gradients
from assay.components.score.gradients.metagradient import (
    Recipe,
    metagradient,
    train,
)
from assay.components.score.gradients.preconditioners import PRECONDITIONERS
from influence import errors, run_peer
from pairs import rows_of, texts, warmed
from record import ROOT, record
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

ROWS, TARGET, WARM, SUBSETS = 500, 200, 480, 50
SEEDS = range(1 if os.environ.get("QUICK") else 3)
KEPT = ROOT / "runs" / "bench-lds"
RECIPE = Recipe()


@dataclass
class Work:
    """What a method is given.

    Attributes:
        start: The ranker before training, its adapter apart.
        trained: The same, trained on all rows.
        rows: (n,) rows.
        target: (t,) rows whose mean loss counts.
        recipe: Of the training.
    """

    start: Ranker
    trained: Ranker
    rows: Pairs
    target: Pairs
    recipe: Recipe


def target_loss(ranker: Ranker, target: Pairs) -> float:
    """Mean cross-entropy."""
    logits, labels = ranker.score(target).astype(np.float64), target.labels.numpy()
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def prepared(seed: int) -> Work:
    """Everything but the halves."""
    frame = texts()
    start = warmed(frame.tail(WARM))
    KEPT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    wrap(start, "lora")
    start.eval()
    rows, target = rows_of(start, frame.head(ROWS)), rows_of(start, frame.iloc[ROWS : ROWS + TARGET])
    recipe = replace(RECIPE, seed=seed)
    trained = copy.deepcopy(start)
    train(trained, rows, recipe)
    return Work(start, trained, rows, target, recipe)


def halves(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """(SUBSETS, n) bool, rows of each half; (SUBSETS,) target loss after training on it."""
    rng = np.random.default_rng([work.recipe.seed, 1])
    inside = np.stack([rng.permutation(ROWS) < ROWS // 2 for _ in range(SUBSETS)])
    about = repr((work.recipe, ROWS, TARGET, WARM, texts().head(1).to_dict()))
    file = KEPT / f"seed-{work.recipe.seed}-{text_id(about)[:12]}.npy"
    losses = np.load(file).tolist() if file.is_file() else []
    for number in range(len(losses), SUBSETS):
        ranker = copy.deepcopy(work.start)
        train(ranker, work.rows, work.recipe, inside[number].astype(np.float64))
        losses.append(target_loss(ranker, work.target))
        np.save(file, np.array(losses))
        say("lds", f"seed {work.recipe.seed}: half {number + 1} of {SUBSETS}, loss {losses[-1]:.4f}")
    return inside, np.array(losses)


def grad_dot(work: Work, preconditioner: str) -> np.ndarray:
    """<grad l_i, P grad L> in the adapter's weights, after training."""
    ranker, names = work.trained, list(parameters(work.trained, "adapter"))
    [direction] = target_gradients(ranker, work.target, scope="adapter")
    fitted = PRECONDITIONERS[preconditioner](ranker, work.rows, names, work.recipe.seed)
    logits = ranker.score(work.rows).astype(np.float64)
    dots, _ = directional_derivatives(
        ranker, work.rows, [fitted(direction)], work.recipe.seed, logits, ["one-sided", "central"]
    )
    return (1 / (1 + np.exp(-logits)) - work.rows.labels.numpy()) * dots[:, 0]


def loss_alone(work: Work) -> np.ndarray:
    """A baseline that knows nothing of the target: the row's own loss, low is good."""
    return -np.abs(errors(work.trained, work.rows))


METHODS: dict[str, Callable[[Work], np.ndarray]] = {
    "own loss": loss_alone,
    "identity": partial(grad_dot, preconditioner="none"),
    "adam": partial(grad_dot, preconditioner="adam"),
    "fisher": partial(grad_dot, preconditioner="fisher"),
    "ekfac": partial(grad_dot, preconditioner="ekfac"),
    "metagradient": lambda w: -metagradient(w.start, w.rows, w.target, w.recipe),
}


def kronfluence(work: Work) -> tuple[np.ndarray, float]:
    """EK-FAC by kronfluence on the same weights, and its CPU seconds."""
    scores, seconds = run_peer("kronfluence_ekfac", work.trained, work.rows, work.target)
    return scores, sum(seconds.values())


def main() -> None:
    """Train what is missing, score, print, write."""
    methods = dict(METHODS)
    if os.environ.get("METHOD"):
        module, _, function = os.environ["METHOD"].partition(":")
        methods[os.environ["METHOD"]] = getattr(importlib.import_module(module), function)
    found: dict[str, list[tuple[float, float]]] = {}
    spread, gain, runs = [], [], []
    for seed in SEEDS:
        work = prepared(seed)
        inside, losses = halves(work)
        spread.append(float(losses.std()))
        gain.append((target_loss(work.start, work.target), target_loss(work.trained, work.target)))
        started = time.process_time()
        train(copy.deepcopy(work.start), work.rows, work.recipe)
        runs.append(time.process_time() - started)
        for name, method in methods.items():
            started = time.process_time()
            scores = method(work)
            taken = time.process_time() - started
            found.setdefault(name, []).append((spearmanr(inside @ scores, -losses).statistic, taken))
            say("lds", f"seed {seed}, {name}: {found[name][-1][0]:.3f}, {taken:.1f} CPU s")
        scores, taken = kronfluence(work)
        found.setdefault("kronfluence, EK-FAC", []).append(
            (spearmanr(inside @ scores, -losses).statistic, taken)
        )
    table = Table("method", "LDS", "each seed", "CPU s", "training runs", title="linear datamodeling score")
    figures = {}
    for name, pairs in found.items():
        lds, seconds = (np.array(column) for column in zip(*pairs, strict=True))
        in_runs = float(np.median(seconds / runs))
        figures[name] = {
            "lds": float(lds.mean()), "each": lds.tolist(), "cpu_seconds": float(np.median(seconds)),
            "training_runs": in_runs,
        }  # fmt: skip
        each = " ".join(f"{value:.2f}" for value in lds)
        table.add_row(name, f"{lds.mean():.3f}", each, f"{np.median(seconds):.1f}", f"{in_runs:.1f}")
    Console(width=110).print(table)
    ours, theirs = figures["ekfac"], figures.pop("kronfluence, EK-FAC")
    faithful = figures["metagradient"]
    record(
        "lds",
        {
            "rows": ROWS, "target": TARGET, "halves": SUBSETS, "seeds": len(SEEDS),
            "methods": figures, "loss_before_and_after": gain, "spread_of_losses": spread,
            "cpu_seconds_of_a_run": float(np.median(runs)),
        },
        {
            "EK-FAC on v / kronfluence, LDS": (ours["lds"] / theirs["lds"], ">=", 0.95),
            "EK-FAC on v / kronfluence, time": (ours["cpu_seconds"] / theirs["cpu_seconds"], "<=", 0.5),
            "faithful tier, LDS": (faithful["lds"], ">=", 0.80),
            "faithful tier, training runs": (faithful["training_runs"], "<=", 5),
        },
        {"kronfluence, EK-FAC": theirs},
    )  # fmt: skip


if __name__ == "__main__":
    main()
