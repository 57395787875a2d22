"""What `noisy`, `clean` and `cost` share: a set prepared once a seed, and cells (set, method, budget, seed).

A cell is one ranker trained on what one method chose, and judged on test lists. It is one line of a jsonl
file under `results/`, and is skipped when it is there; what it takes beforehand lies under
runs/bench-selection and is made once. All of it are the steps of `assay run`, called in this process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core.manifest import cpu_seconds, read_manifest
from assay.components.core.metrics import Lists
from assay.components.core.progress import say
from assay.components.core.ranker import open_ranker
from assay.components.core.samples import read_samples, relevance
from assay.components.embed.embed import embed
from assay.components.finetune.finetune import FinetuneConfig, finetune, finetune_each
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.score.measure import measure
from assay.components.score.plans import PLANS
from assay.components.score.score import score
from assay.components.select.rules import Rules
from assay.components.select.select import select, warm_up_shares
from assay.pipelines.choices import LEARNING_RATES
from record import ROOT

ROWS, TEST_ROWS = 2_460, 2_500
"""Of train, validation and target together, about 2,000 of them to train on; and of test. Whole lists."""
WORK = ROOT / "runs" / "bench-selection"
COLUMNS = {
    "msrd": "query=query,item=product_title,label=grade,item_id=product_id",
    "store": "query=query,item=title,label=grade,item_id=item_id",
}


@dataclass(frozen=True)
class Method:
    """A way to choose rows.

    Attributes:
        name: In tables and lines.
        arm: Of `select`.
        plan: Whose scores the challenger, or a baseline by score, is chosen by.
        rules: Of the selection.
    """

    name: str
    arm: str = "challenger"
    plan: str = "default"
    rules: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Arena:
    """A set with its noise planted.

    Attributes:
        name: `msrd` or `store`.
        noise: Share of flipped training labels.
        seed: Of noise, shares, random draws and training.
        rows: Of train, validation and target together at most; 0 is all.
        epochs: Of every training but the warm-ups, which take one, as in a run.
    """

    name: str
    noise: float
    seed: int
    rows: int = ROWS
    epochs: int = 2

    def at(self, what: str) -> str:
        """Where a step's output lies."""
        size = "" if (self.rows, self.epochs) == (ROWS, 2) else f"-{self.rows}-{self.epochs}"
        return str(WORK / f"{self.name}-{self.noise:g}-{self.seed}{size}" / what)

    def training(self, arm: str) -> FinetuneConfig:
        """LoRA cross-encoder, at the rate that `assay run` takes for one."""
        rate = LEARNING_RATES["cross"]
        return FinetuneConfig(arm, ranker="cross", epochs=self.epochs, learning_rate=rate, seed=self.seed)

    @cached_property
    def seconds(self) -> dict[str, float]:
        """CPU seconds of each step up to the warm-ups, which are made where they are not there."""
        at, seed = self.at, self.seed
        config = replace(log_of(self.name), noise=self.noise, seed=seed, sample=self.rows)
        return {
            "ingest": once(at("samples"), lambda out: ingest(config, out, at("texts"), at("truth"))),
            "embed": once(
                at("vectors"),
                lambda out: embed(at("samples"), at("texts"), out, at("encoder"), "minilm", seed),
            ),
            "shares": once(at("shares"), lambda out: warm_up_shares(at("samples"), out, 0.1, seed)),
            "warm_up": once(
                at("warm-ups"),
                lambda out: finetune_each(
                    replace(self.training("a"), epochs=1), ["a", "b"], at("samples"), at("shares"), out
                ),
            ),
        }

    def scored(self, plan: str) -> tuple[str, float]:
        """Folder of a plan's scores, and the CPU seconds of all that led to them but `ingest`."""
        before, methods = self.seconds, list(PLANS[plan])
        warm_ups = {} if plan == "vectors" else {name: f"{self.at('warm-ups')}/{name}" for name in "ab"}
        given = self.at("samples"), self.at("vectors"), warm_ups

        def make(out: str) -> None:
            measure(*given, f"{out}-measured", methods, seed=self.seed)
            score(*given, [f"{out}-measured"], out, methods, seed=self.seed)

        folder = self.at(f"scores-{plan}")
        spent = once(folder, make) + before["embed"]
        return folder, spent + (before["shares"] + before["warm_up"] if warm_ups else 0.0)

    @cached_property
    def test(self) -> tuple[pd.DataFrame, Lists]:
        """Test rows and their lists."""
        rows = read_samples(self.at("samples"), ["test"])
        about = read_manifest(self.at("samples"))
        columns = (rows["group_id"].to_numpy(str), relevance(rows), rows["sample_id"].to_numpy(str))
        return rows, Lists(*columns, about["relevant_at"], "exponential")

    def cell(self, method: Method, budget: str) -> dict[str, Any]:
        """Choose, train, judge."""
        scores, scoring = self.scored(method.plan)
        key = f"{method.name.replace(' ', '-')}-{budget}"
        chosen, model = self.at(f"cells/{key}/selection"), self.at(f"cells/{key}/model")
        selecting = once(
            chosen,
            lambda out: select(
                self.at("samples"), scores, out, [method.arm], budget, self.seed, self.at("vectors"),
                Rules.of(method.rules),
            ),
        )  # fmt: skip
        config = self.training(method.arm)
        training = once(model, lambda out: finetune(config, self.at("samples"), chosen, out))
        rows, lists = self.test
        ranker = open_ranker(Path(model) / "ranker")
        found = lists.ndcg(ranker.score(ranker.tokenise(rows["context"].tolist(), rows["item"].tolist())))
        truth = pd.read_parquet(f"{self.at('truth')}/truth.parquet").set_index("sample_id")
        selection = pd.read_parquet(f"{chosen}/selection.parquet")
        mine = selection[selection["arm"] == method.arm].set_index("sample_id")
        known = mine.index.intersection(truth.index)
        right = np.isclose(mine.loc[known, "label"], truth.loc[known, "label"])
        return {
            "ndcg": round(float(found.mean()), 5),
            "rows": len(mine),
            "wrong_labels": round(1 - float(right.mean()), 4) if len(known) else None,
            "seconds": {
                "score": round(scoring, 1), "select": round(selecting, 1), "finetune": round(training, 1),
            },
            "lists": [round(float(value), 4) for value in found],
        }  # fmt: skip


@cache
def log_of(name: str) -> IngestConfig:
    """The log of a set: MSRD movie search, or the simulated store."""
    if name == "msrd":
        data = f"{os.environ['ASSAY_DATA']}/search_msrd_movies/pairs.parquet"
    else:
        from assay.examples.store import StoreConfig, simulate, write

        data = str(WORK / "store" / "judgments.parquet")
        if not Path(data).is_file():
            write(simulate(StoreConfig(queries=450)), WORK / "store")
    return IngestConfig(data, columns=parse_columns(COLUMNS[name]), test_sample=TEST_ROWS)


def sets() -> list[str]:
    """The sets that there are here, the real one first; SETS=store takes one."""
    found = ["msrd", "store"] if os.environ.get("ASSAY_DATA") else ["store"]
    return [name for name in found if name in os.environ.get("SETS", "msrd,store").split(",")]


def once(out: str, make: Callable[[str], Any]) -> float:
    """CPU seconds of a step: made now where its output is not there, else what it took when it was."""
    file = Path(f"{out}.seconds")
    if not (file.is_file() and Path(out).is_dir()):
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        started = cpu_seconds()
        make(out)
        file.write_text(repr(cpu_seconds() - started))
    return float(file.read_text())


def cells(name: str, noise: float, work: Sequence[tuple[str, Method, str, int]]) -> list[dict[str, Any]]:
    """One line for each piece of work, run where it is not in `results/<name>.jsonl` yet.

    Args:
        name: Of the benchmark.
        noise: Share of flipped training labels.
        work: (set, method, budget, seed).
    """
    file = ROOT / "benchmarks" / "results" / f"{name}.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    known = {(line["set"], line["method"], line["budget"], line["seed"]): line for line in lines}
    for of, method, budget, seed in work:
        key = (of, method.name, budget, seed)
        if key in known:
            continue
        known[key] = dict(zip(("set", "method", "budget", "seed"), key, strict=True))
        known[key] |= arena(of, noise, seed).cell(method, budget)
        with file.open("a") as stream:
            stream.write(json.dumps(known[key]) + "\n")
        shown = known[key]
        say(name, f"{of} seed {seed}, {method.name} at {budget}: {shown['ndcg']:.4f}, {shown['rows']} rows")
    return [known[of, method.name, budget, seed] for of, method, budget, seed in work]


@cache
def arena(name: str, noise: float, seed: int) -> Arena:
    """One of each in a process."""
    return Arena(name, noise, seed)
