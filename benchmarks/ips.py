"""Claim: a ranker that learns from biased clicks, weighted, is nearly as good as one that knows what is good.

Work: the simulated store's search log, 300 searches a query (1.3 million impressions), in which a click needs
a look and looks fall with the position; bots out by the pace of their searches. Positions are found by
harvesting and by the position-based model; pairs are labelled by clicks over looks, as the builder of
searches labels them with `policy.bias=harvesting`. The ranker is a cheap one, a logistic regression on pairs
of words, one of the query and one of the title: half of the queries train it, a fifth is the target on which
`do_no_harm` decides, and nDCG@10 by true grades is over the judged lists of the rest. Full information is the
same ranker on the true grades of the same pairs. Naive is the click rate, with the weights that corrected
pairs have, which is what the check falls back on; shown as well with those of `ingest` now, roots of the
impressions. The same on a short log, 20 searches a query. 5 seeds, each with a store of its own, a line of
`results/ips.jsonl` each, not run again; QUICK=1: one.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.metrics import Lists
from assay.components.core.samples import hash_unit
from assay.components.ingest.building import Policy
from assay.components.ingest.clicks.estimators import estimate
from assay.components.ingest.clicks.propensities import Propensities
from assay.components.ingest.clicks.safety import Taught, Verdict, do_no_harm, learnt
from assay.components.ingest.clicks.weights import weight_of
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.search import build, samples_from_impressions
from assay.components.ingest.tables import canonical
from assay.examples.store import StoreConfig, simulate
from record import ROOT, record
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import HashingVectorizer

SEARCHES = {"long log": 300.0, "short log": 20.0}
TEST, TARGET = 0.3, 0.5
"""Queries whose hash lies below are test; of the rest, target; all others train."""
RELEVANT_AT = 2.0


@dataclass(frozen=True)
class Shop:
    """A store's log as a shop has it, and its judged lists.

    Attributes:
        seed: Of the store.
        searches: Of each query, on average.
        queries: Distinct ones.
    """

    seed: int
    searches: float
    queries: int = 450

    @cached_property
    def store(self) -> Any:
        """The store, truth included."""
        return simulate(StoreConfig(self.queries, seed=self.seed, searches_per_query=self.searches))

    @cached_property
    def impressions(self) -> pl.DataFrame:
        """Once each, with the query that another row of the search tells, without robots."""
        events = pl.from_pandas(self.store.search_events).unique(
            "event_id", keep="first", maintain_order=True
        )
        asked = events.drop_nulls("query").group_by("query_id").agg(pl.col("query").first())
        events = events.drop("query").join(asked, on="query_id", how="left", maintain_order="left")
        searches = events.group_by("session_id", "query_id").agg(pl.col("timestamp").min())
        pace = searches.sort("session_id", "timestamp").group_by("session_id").agg(
            searches=pl.len(), seconds=pl.col("timestamp").diff().median().dt.total_milliseconds() / 1000
        )  # fmt: skip
        robots = pace.filter((pl.col("searches") >= 10) & (pl.col("seconds") < 5))
        rows = events.join(robots, on="session_id", how="anti", maintain_order="left")
        columns = ["query_id", "query", "item_id", "position", "session_id", "user_id", "timestamp"]
        clicked = pl.col("click").cast(pl.Float64).alias("clicked")
        bought = pl.col("purchase").cast(pl.Float64).alias("feature.purchased")
        return canonical("impressions", rows.select(*columns, clicked, bought))

    @cached_property
    def propensities(self) -> dict[str, Propensities]:
        """Of the positions, by two estimators."""
        return {method: estimate(self.impressions, method) for method in ("harvesting", "pbm")}

    @cached_property
    def samples(self) -> pl.DataFrame:
        """What `ingest` makes of the impressions with `policy.bias=harvesting`, before the check."""
        items = pl.from_pandas(self.store.items).select("item_id", text="title")
        log = {"impressions": self.impressions, "items": canonical("items", items)}
        built = build(log, Ledger(), Policy(bias="harvesting"))
        rows = built.rows.assign(split="train")
        found = samples_from_impressions(rows, "store", Ledger(), bias=built.bias)
        kept = found[["context", "item_id", "item", "label", "unbiased", "looks"]]
        return pl.from_pandas(kept).sort("context", "item_id")

    @cached_property
    def pairs(self) -> pl.DataFrame:
        """Of the training queries: corrected label and weight, title, rate, shown, bought and true grade."""
        counts = self.impressions.group_by(pl.col("query").alias("asked"), "item_id").agg(
            shown=pl.len(), bought=pl.col("feature.purchased").mean()
        )
        events = pl.from_pandas(self.store.search_events[["event_id", "query", "item_id"]])
        truth = pl.from_pandas(self.store.truth["search_events"][["event_id", "grade"]])
        grades = (
            events.drop_nulls().join(truth, on="event_id")
            .group_by(pl.col("query").alias("asked"), "item_id").agg(pl.col("grade").first())
        )  # fmt: skip
        found = self.samples.select(
            "item_id", "looks", asked="context", title="item", rate="label", label="unbiased"
        ).with_columns(weight=pl.Series(weight_of(self.samples["looks"].to_numpy())))
        for other in (counts, grades):
            found = found.join(other, on=["asked", "item_id"], how="inner", maintain_order="left")
        return found.filter(place_of(found["asked"].to_list()) >= TARGET)

    def judged(self, low: float, high: float) -> pd.DataFrame:
        """Judged pairs of queries whose hash lies within."""
        judgments = self.store.judgments
        place = place_of(judgments["query"].tolist())
        return judgments[(place >= low) & (place < high)]


def place_of(queries: list[str]) -> np.ndarray:
    """(n,) place of queries in [0, 1)."""
    return hash_unit(queries, "bench-ips")


def listed(judged: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Groups, grades, ids and the grade of relevance."""
    ids = (judged["query_id"] + "/" + judged["item_id"]).to_numpy(str)
    return judged["query_id"].to_numpy(str), judged["grade"].to_numpy(float), ids, RELEVANT_AT


def crossed(queries: list[str], titles: list[str]) -> Any:
    """(n, 2**17 + 1) sparse: pairs of a word of the query and one of the title; the share of common words."""
    words = {text: sorted(set(re.findall(r"\w+", text.lower()))) for text in {*queries, *titles}}
    pairs = list(zip(queries, titles, strict=True))
    hashed = HashingVectorizer(
        n_features=2**17, alternate_sign=False, norm=None, binary=True,
        analyzer=lambda pair: [f"{a} {b}" for b in words[pair[1]] for a in ["", *words[pair[0]]]],
    ).transform(pairs)  # fmt: skip
    common = [len({*words[q]} & {*words[t]}) / max(1, len(words[q])) for q, t in pairs]
    return hstack([hashed, csr_matrix(np.array(common)[:, None])]).tocsr()


def ways(pairs: pl.DataFrame) -> dict[str, Taught]:
    """Labels and weights of the training pairs."""
    shown, grade = pairs["shown"].to_numpy().astype(float), pairs["grade"].to_numpy() / 3
    root = np.sqrt(shown)
    rate = pairs["rate"].to_numpy()
    return {
        "naive": Taught(rate, weight_of(shown)),
        "naive, roots": Taught(rate, np.clip(root / root.mean(), 0.1, 10)),
        "corrected": Taught(pairs["label"].to_numpy(), pairs["weight"].to_numpy()),
        "full": Taught(grade, np.ones(len(grade))),
    }


def judge(shop: Shop) -> tuple[dict[str, float], Verdict]:
    """nDCG@10 of each way on the test lists, and what the check says; `kept` is the way that it keeps."""
    pairs, test, target = shop.pairs, shop.judged(0.0, TEST), shop.judged(TEST, TARGET)
    features = crossed(pairs["asked"].to_list(), pairs["title"].to_list())
    seen, trusted = (crossed(some["query"].tolist(), some["title"].tolist()) for some in (test, target))
    taught, lists = ways(pairs), Lists(*listed(test))
    found = {name: float(lists.ndcg(learnt(features, one, seen)).mean()) for name, one in taught.items()}
    verdict = do_no_harm(features, taught["naive"], taught["corrected"], trusted, *listed(target))
    return found | {"kept": found["corrected" if verdict.taken else "naive"]}, verdict


def line_of(name: str, seed: int) -> dict[str, Any]:
    """One store: what each way reaches, and what was found of positions."""
    started, shop = time.process_time(), Shop(seed, SEARCHES[name])
    marks, verdict = judge(shop)
    errors = {
        method: float(np.abs(one.examined - shop.store.config.examination).mean())
        for method, one in shop.propensities.items()
    }
    return {
        "log": name,
        "seed": seed,
        "impressions": len(shop.impressions),
        "ndcg": marks,
        "of_full": marks["kept"] / marks["full"],
        "over_naive": marks["kept"] / marks["naive"] - 1,
        "verdict": verdict.as_dict(),
        "propensity_error": errors,
        "seconds": time.process_time() - started,
    }


def main() -> None:
    """Run what is missing, print, write."""
    file = ROOT / "benchmarks" / "results" / "ips.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    found = {(line["log"], line["seed"]): line for line in lines}
    seeds = range(1 if os.environ.get("QUICK") else int(os.environ.get("SEEDS", "5")))
    for key in [(name, seed) for seed in seeds for name in SEARCHES]:
        if key not in found:
            found[key] = line_of(*key)
            with file.open("a") as stream:
                stream.write(json.dumps(found[key]) + "\n")
    columns = ("naive", "naive, roots", "corrected", "kept", "full")
    table = Table("log", "seed", *columns, "kept / full", "kept / naive", "error of positions", "CPU s")
    for name, seed in ((name, seed) for name in SEARCHES for seed in seeds):
        line = found[name, seed]
        told = f"{line['of_full']:.3f}", f"{line['over_naive']:+.3f}"
        marks = (f"{line['ndcg'][column]:.4f}" for column in columns)
        errors = ", ".join(f"{error:.4f}" for error in line["propensity_error"].values())
        table.add_row(name, str(seed), *marks, *told, errors, f"{line['seconds']:.0f}")
        print(f"{name} {seed}: {line['verdict']['why']}")
    Console(width=140).print(table)
    long, short = ([found[name, seed] for seed in seeds] for name in SEARCHES)
    bounds = {
        "long log: kept / full, mean": (float(np.mean([line["of_full"] for line in long])), ">=", 0.97),
        "long log: kept over naive, worst seed": (min(line["over_naive"] for line in long), ">=", -0.003),
        "short log: kept over naive, worst seed": (min(line["over_naive"] for line in short), ">=", -0.003),
    }
    record("ips", {"lines": [*long, *short]}, bounds)


if __name__ == "__main__":
    main()
