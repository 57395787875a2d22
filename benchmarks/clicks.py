"""Claim: 30 % of the pairs of a click log, chosen and corrected for position, beat training on all clicks.

Work: the simulated store, 2,000 queries of 70 searches each (1.4 million impressions without robots). Pairs
are labelled by clicks over looks, as in `ips`, in the sample table with labels in tenths; `score`
(target_agreement and knn_shapley, on vectors) and `select` take 30 % of the pairs of the training queries,
the target being the grades of a fifth of the queries. Where a label counts as relevant is read off the
target's own pairs. What is chosen trains the cheap ranker of `ips`, a logistic regression on pairs of
words, on labels that are not rounded; nDCG@10 by true grades is over the judged lists of the test queries.
Naive is all pairs by click rate: of the log as it came, as `ingest` reads it, and with robots out. Full is
all pairs by their true grades. 5 seeds, each with a store of its own, a line of `results/clicks.jsonl`
each, not run again; QUICK=1: one.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.manifest import publishing
from assay.components.core.metrics import Lists
from assay.components.core.samples import sample_ids, text_id, write_samples
from assay.components.embed.embed import embed
from assay.components.ingest.clicks.safety import Taught, learnt
from assay.components.ingest.clicks.weights import weight_of
from assay.components.score.measure import measure
from assay.components.score.score import score
from assay.components.select.rules import Rules
from assay.components.select.select import select
from ips import RELEVANT_AT, TARGET, TEST, Shop, crossed, listed, place_of, ways
from record import ROOT, record
from rich.console import Console
from rich.table import Table

QUERIES, SEARCHES, BUDGET = 2_000, 70.0, "0.3"
METHODS = ("target_agreement", "knn_shapley")


def samples_of(shop: Shop) -> pd.DataFrame:
    """The training pairs, in the order of `shop.pairs`, then the target's."""
    pairs, target = shop.pairs, shop.judged(TEST, TARGET)
    train = pairs.select(
        group_id="asked", context="asked", item_id="item_id", item="title", label=pl.col("label").round(1),
        weight="weight",
    ).to_pandas()  # fmt: skip
    trusted = target.rename(columns={"title": "item"}).assign(
        group_id=target["query"], context=target["query"], weight=1.0, split="target",
        label=(target["grade"] >= RELEVANT_AT).astype(float),
    )  # fmt: skip
    rows = pd.concat([train.assign(split="train"), trusted[[*train.columns, "split"]]], ignore_index=True)
    key = (rows[name].tolist() for name in ("group_id", "context", "item_id", "item"))
    return rows.assign(
        task="search", source="store", segment="all", sample_id=sample_ids("search", *key, "click")
    )


def relevant_at(shop: Shop) -> float:
    """The label that tells relevant pairs of the target's queries best: true less false positive rate."""
    log = shop.samples.with_columns(weight=pl.Series(weight_of(shop.samples["looks"].to_numpy())))
    target = pl.from_pandas(shop.judged(TEST, TARGET)[["query", "item_id", "grade"]])
    both = log.join(target, left_on=["context", "item_id"], right_on=["query", "item_id"]).sort("unbiased")
    relevant, weight = (both["grade"] >= RELEVANT_AT).to_numpy(), both["weight"].to_numpy()
    below = np.cumsum(weight * ~relevant) / (weight * ~relevant).sum()
    missed = np.cumsum(weight * relevant) / (weight * relevant).sum()
    return float(both["unbiased"][int((below - missed).argmax())]) + 1e-6


def chosen(shop: Shop, rows: pd.DataFrame, folder: Path, seed: int) -> dict[str, np.ndarray]:
    """Numbers of the training pairs of each arm, by the steps of `assay run`."""
    at = {
        name: str(folder / name)
        for name in ("samples", "texts", "vectors", "encoder", "measured", "scores", "chosen")
    }
    with publishing(at["samples"], relevant_at=relevant_at(shop), max_grade=1.0, metric="ndcg@10") as (
        out,
        _,
    ):
        write_samples(rows, out)
    with publishing(at["texts"]) as (out, _):
        texts = pd.unique(pd.concat([rows["context"], rows["item"]]))
        table = pd.DataFrame({"text_id": [text_id(text) for text in texts], "text": texts}).sort_values(
            "text_id"
        )
        table.to_parquet(out / "texts.parquet", index=False)
        pd.DataFrame({"item": pd.Series([], dtype=str)}).to_parquet(out / "attributes.parquet", index=False)
    embed(at["samples"], at["texts"], at["vectors"], at["encoder"], "minilm", seed)
    measure(at["samples"], at["vectors"], {}, at["measured"], METHODS, seed=seed)
    score(at["samples"], at["vectors"], {}, [at["measured"]], at["scores"], METHODS, seed=seed)
    rules = Rules(noisy="keep")
    select(
        at["samples"],
        at["scores"],
        at["chosen"],
        ["challenger", "control"],
        BUDGET,
        seed,
        at["vectors"],
        rules,
    )
    selection = pd.read_parquet(f"{at['chosen']}/selection.parquet")
    number = pd.Series(range(len(rows)), index=rows["sample_id"])
    return {
        arm: number[selection.loc[selection["arm"] == arm, "sample_id"]].to_numpy()
        for arm in ("challenger", "control")
    }


def as_it_came(shop: Shop) -> tuple[pl.DataFrame, Taught]:
    """Pairs of the training queries with robots, each delivery counted; roots of impressions for weights."""
    events = pl.from_pandas(shop.store.search_events[["query", "item_id", "click"]]).drop_nulls("query")
    pairs = events.group_by(asked="query", item_id="item_id").agg(
        rate=pl.col("click").mean(), shown=pl.len()
    ).sort("asked", "item_id").join(
        pl.from_pandas(shop.store.items).select("item_id", "title"), on="item_id", maintain_order="left"
    )  # fmt: skip
    pairs = pairs.filter(place_of(pairs["asked"].to_list()) >= TARGET)
    root = np.sqrt(pairs["shown"].to_numpy())
    return pairs, Taught(pairs["rate"].to_numpy(), np.clip(root / root.mean(), 0.1, 10))


def line_of(seed: int) -> dict[str, Any]:
    """One store: nDCG@10 of each way."""
    started, shop = time.process_time(), Shop(seed, SEARCHES, QUERIES)
    rows, test = samples_of(shop), shop.judged(0.0, TEST)
    with tempfile.TemporaryDirectory() as folder:
        arms = chosen(shop, rows, Path(folder), seed)
    features = crossed(shop.pairs["asked"].to_list(), shop.pairs["title"].to_list())
    seen, lists, taught = (
        crossed(test["query"].tolist(), test["title"].tolist()),
        Lists(*listed(test)),
        ways(shop.pairs),
    )

    def reached(some: Any, one: Taught) -> float:
        return float(lists.ndcg(learnt(some, one, seen)).mean())

    raw, one = as_it_came(shop)
    marks = {"naive, as it came": reached(crossed(raw["asked"].to_list(), raw["title"].to_list()), one)}
    for name, way in (("naive, robots out", "naive"), ("corrected", "corrected"), ("full", "full")):
        marks[name] = reached(features, taught[way])
    for arm, numbers in arms.items():
        way = taught["corrected"]
        marks[f"30 %, {arm}"] = reached(features[numbers], Taught(way.labels[numbers], way.weights[numbers]))
    counts = {
        "impressions": len(shop.impressions),
        "pairs": len(features.indptr) - 1,
        "chosen": len(arms["challenger"]),
    }
    return {"seed": seed, "ndcg": marks, "seconds": time.process_time() - started} | counts


def main() -> None:
    """Run what is missing, print, write."""
    file = ROOT / "benchmarks" / "results" / "clicks.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    seeds = range(1 if os.environ.get("QUICK") else int(os.environ.get("SEEDS", "5")))
    for seed in seeds:
        if seed not in [line["seed"] for line in lines]:
            lines.append(line_of(seed))
            with file.open("a") as stream:
                stream.write(json.dumps(lines[-1]) + "\n")
    lines = sorted((line for line in lines if line["seed"] in seeds), key=lambda line: line["seed"])
    table = Table("seed", *lines[0]["ndcg"], "over as it came", "over robots out", "over random", "CPU s")
    over: dict[str, list[float]] = {}
    for line in lines:
        marks = line["ndcg"]
        for other in ("naive, as it came", "naive, robots out", "30 %, control"):
            over.setdefault(other, []).append(marks["30 %, challenger"] / marks[other] - 1)
        gains = (f"{values[-1]:+.3f}" for values in over.values())
        table.add_row(
            str(line["seed"]), *(f"{m:.4f}" for m in marks.values()), *gains, f"{line['seconds']:.0f}"
        )
    Console(width=170).print(table)
    bounds = {}
    for other in ("naive, as it came", "naive, robots out"):
        bounds[f"over {other}, mean"] = (float(np.mean(over[other])), ">=", 0.04)
        bounds[f"over {other}, worst seed"] = (min(over[other]), ">=", -0.003)
    record("clicks", {"budget": BUDGET, "lines": lines, "over": over}, bounds)


if __name__ == "__main__":
    main()
