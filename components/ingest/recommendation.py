"""Recommendations: what users did -> rows, one a user's history up to a moment and what may come next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.samples import SPLIT_SALT, SPLITS, hash_unit
from assay.components.ingest.building import Built, Policy, Ranking, missing
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.split import groups_of, sample_groups
from assay.components.ingest.tables import Tables

_NOT_DONE = ("impression", "dwell", "other")
"""Actions that are not the user's choice."""
COLD = 2
"""Events of a history up to which its user is cold."""
SMOOTHING = 0.75
"""Power of the popularity that negatives are drawn by: Mikolov et al. 2013, section 2.2."""
_VALIDATION, _TARGET = (0.20, 0.30), (0.30, 0.35)


def build(tables: Tables, ledger: Ledger, policy: Policy) -> Built:
    """Rows of users' histories, cut before the event that is to be foretold.

    The context is the user's last events before the cut, newest first, since what is too long is cut at its
    end. The item is the next event's. A list is a user and a cut. `last` leaves each user's last event out
    for the test; `time` what came first after the moment that nine tenths of the log lie before, and every
    later event. One test list a user, of `test_users` by hash; nothing is drawn beside it: it is ranked over
    the whole catalogue, or over all actions or categories, where these are foretold.

    Beside each item to train on others are drawn, by popularity to the power 0.75, so that an item is as
    often wrong as its popularity says, and none that the user knew by then. What comes later is no reason to
    leave an item out: that would be the future.

    Args:
        tables: `events` in an order that holds where times are equal or missing; `items` with their texts.
        ledger: Where rows are counted: an event that is told in another's history has become part of it.
        policy: `predict`, `history`, `cuts`, `negatives`, `test_users`, `holdout`, `sample`, `relevant_at`.

    Raises:
        BadInput: There are no events, no texts, no users with two events, or no times that are needed.
    """
    if not len(tables.get("events", ())):
        raise missing("recommendation", "events", "what users viewed, bought or rated")
    events = _numbered(_usable(tables, ledger, policy), policy)
    if not len(events):
        raise BadInput("--task recommendation: no user has an event whose item has a text")
    cut = _cuts(events, ledger, policy)
    positives = _histories(events, cut, policy)
    if not (positives["split"] == "test").any():
        raise BadInput("--task recommendation: no user has a history before its last event; give more events")
    positives = _sampled(positives, ledger, policy)
    train = events.filter(pl.col("trained"))
    if policy.predict == "item":
        catalogue = _catalogue(events, train)
        drawn = _negatives(positives[positives["split"] != "test"], events, catalogue, policy)
        rows = pd.concat([positives, drawn], ignore_index=True)
        ledger.add("drawn_negative", len(drawn))
        tested = positives[positives["split"] == "test"]
        ranking = Ranking(
            catalogue,
            train.select("user_id", "item_id").unique(maintain_order=True).to_pandas(),
            _seen(events, tested),
        )
    else:
        positives, choices = _known(positives, ledger)
        rows, ranking = _every(positives, choices), None
        ledger.add("other_choice", len(rows) - len(positives))
    clock = "all" if policy.holdout == "time" else "user"
    return Built(rows.drop(columns="n"), "grade", 1.0, 0.5, "ndcg@10", clock, ranking)


def _usable(tables: Tables, ledger: Ledger, policy: Policy) -> pl.DataFrame:
    """Events of users with items that have a text, by time; with `item` and its category, `kind`."""
    events = tables["events"].with_columns(user_id=pl.coalesce("user_id", "session_id"))
    items = tables.get("items")
    if items is None or not len(items):
        raise BadInput(
            "--task recommendation: no item has a text; name its column with --columns item=COLUMN"
        )
    texts = items.select(
        "item_id", pl.col("text").str.strip_chars().alias("item"), pl.col("category").alias("kind")
    )
    events = events.join(
        texts.unique("item_id", keep="first"), on="item_id", how="left", maintain_order="left"
    )
    rated = pl.col("action") == "rating"
    wanted = pl.col("kind" if policy.predict == "category" else "item")
    for reason, out in (
        ("missing_user", pl.col("user_id").is_null()),
        ("missing_item_id", pl.col("item_id").is_null()),
        ("not_an_interaction", pl.col("action").is_in(_NOT_DONE)),
        ("low_rating", rated & (pl.col("value") < policy.relevant_at)),
        ("no_item_text", pl.col("item").is_null() | (pl.col("item") == "")),
        ("no_category", wanted.is_null()),
    ):
        events = _without(events, out.fill_null(False), reason, ledger)
    if policy.holdout == "time" and events["timestamp"].null_count():
        raise BadInput(
            f"policy.holdout time: {events['timestamp'].null_count()} events have no time; name the column "
            "with --columns timestamp=COLUMN, or leave each user's last event out (policy.holdout=last)"
        )
    events = events.sort("timestamp", nulls_last=False, maintain_order=True)
    if policy.predict == "item":
        # Who knows an item already is recommended it by nobody, and a list has each item once.
        again = ~pl.struct("user_id", "item_id").is_first_distinct()
        events = _without(events, again, "repeated_item", ledger)
    return events


def _without(events: pl.DataFrame, out: pl.Expr, reason: str, ledger: Ledger) -> pl.DataFrame:
    gone = events.filter(out)
    ledger.drop(reason, len(gone), [f"row {row}" for row in gone["row"].head(20)])
    return events.filter(~out)


def _numbered(events: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Each event's number in its user's history, `happened`, and `role`: train, validation, test or none.

    `trained` says that it may be known in training.
    """
    place = pl.int_range(pl.len()).over("user_id")
    events = events.with_columns(n=place, count=pl.len().over("user_id"))
    users = events["user_id"].unique().sort()
    split = hash_unit(users.to_list(), SPLIT_SALT)
    own = np.full(len(users), "train", dtype=object)
    for name, (low, high) in (("validation", _VALIDATION), ("target", _TARGET)):
        own[(split >= low) & (split < high)] = name
    own_of = pl.DataFrame(
        {"user_id": users, "own": own.tolist()}, schema={"user_id": pl.String, "own": pl.String}
    )
    events = events.join(own_of, on="user_id", how="left", maintain_order="left")
    if policy.holdout == "time":
        moment = pl.col("timestamp").dt.epoch("us")
        first = events.select(moment.quantile(0.9, interpolation="lower")).item()
        later = moment > first
        events = events.with_columns(happened=moment, later=later)
        nth = (pl.col("n") - (~pl.col("later")).sum().over("user_id")) == 0
        last_before = pl.col("n") == (~pl.col("later")).sum().over("user_id") - 1
    else:
        events = events.with_columns(
            happened=pl.col("n").cast(pl.Int64), later=pl.col("n") == pl.col("count") - 1
        )
        nth, last_before = pl.lit(True), pl.col("n") == pl.col("count") - 2
    role = (
        pl.when(pl.col("later"))
        .then(pl.when(nth).then(pl.lit("test")))
        .when((pl.col("own") == "validation") & last_before)
        .then(pl.lit("validation"))
        .when(pl.col("own") == "target")
        .then(pl.lit("target"))
        .otherwise(pl.lit("train"))
    )
    events = events.with_columns(role=role)
    return events.with_columns(trained=(pl.col("role").is_in(["train", "target"])).fill_null(False))


def _cuts(events: pl.DataFrame, ledger: Ledger, policy: Policy) -> pl.DataFrame:
    """The events that are to be foretold; every other is counted with its reason."""
    first = events.filter(pl.col("n") == 0)
    ledger.drop("first_event", len(first))
    rest = events.filter(pl.col("n") > 0)
    rest = _without(rest, pl.col("role").is_null(), "after_the_test", ledger)
    test = rest.filter(pl.col("role") == "test")
    place = hash_unit(test["user_id"].to_list(), "assay-test-users-1")
    chosen = set(
        np.asarray(test["user_id"].to_list(), dtype=object)[
            np.argsort(place, kind="stable")[: policy.test_users]
        ]
    )
    beyond = (pl.col("role") == "test") & ~pl.col("user_id").is_in(list(chosen))
    rest = _without(rest, beyond, "beyond_test_users", ledger)
    fitting = pl.col("role").is_in(["train", "target"])
    back = pl.col("n").max().over("user_id", "role") - pl.col("n")
    return _without(rest, fitting & (back >= policy.cuts), "in_a_history_only", ledger)


def _histories(events: pl.DataFrame, cut: pl.DataFrame, policy: Policy) -> pd.DataFrame:
    """The row of each cut, its context written out."""
    told = pl.col("item") if policy.predict == "item" else pl.format("{} {}", "action", "item")
    events = events.with_columns(told=told)
    past = [
        pl.col("told").shift(back).over("user_id").alias(f"past{back}")
        for back in range(1, policy.history + 1)
    ]
    before = pl.col("happened").shift(1).over("user_id").alias("seen_until")
    known = pl.col("item_id").filter(pl.col("trained")).unique()
    popular = events.select(known.alias("item_id")).with_columns(warm=pl.lit(True))
    written = pl.concat_str(
        [f"past{back}" for back in range(1, policy.history + 1)], separator="; ", ignore_nulls=True
    )
    what = {"item": "item", "action": "action", "category": "kind"}[policy.predict]
    where = events.with_columns(*past, before).join(
        cut.select("user_id", "n"), on=["user_id", "n"], how="inner", maintain_order="left"
    )
    where = where.join(popular, on="item_id", how="left", maintain_order="left")
    cold = pl.when(pl.col("warm").is_null()).then(pl.lit("cold item")).when(pl.col("n") <= COLD)
    rows = where.select(
        written.alias("context"),
        pl.col(what).alias("item"),
        (pl.col("item_id") if policy.predict == "item" else pl.col(what)).alias("item_id"),
        pl.format("{}|{}", "user_id", "n").alias("group_id"),
        pl.col("user_id").alias("unit"),
        "user_id",
        cold.then(pl.lit("cold user")).otherwise(pl.lit("warm")).alias("segment"),
        pl.col("role").alias("split"),
        pl.lit(1.0).alias("grade"),
        "timestamp",
        "source",
        "happened",
        "seen_until",
        "n",
    )
    return rows.to_pandas()


def _sampled(positives: pd.DataFrame, ledger: Ledger, policy: Policy) -> pd.DataFrame:
    """Whole lists, as many as fit in the sample once others are drawn beside them."""
    if not policy.sample:
        return positives
    choices = positives["item_id"].nunique() if policy.predict != "item" else 1 + policy.negatives
    most = policy.sample // choices
    groups, group = groups_of(positives)
    out = sample_groups(groups, groups.split != SPLITS.index("test"), most)[group]
    ledger.drop("not_sampled", int(out.sum()))
    return positives[~out].reset_index(drop=True)


def _catalogue(events: pl.DataFrame, train: pl.DataFrame) -> pd.DataFrame:
    """Every item that anything was done with, and how many did it in training."""
    counts = train.group_by("item_id").len("popularity")
    every = (
        events.select("item_id", "item")
        .unique("item_id", keep="first")
        .join(counts, on="item_id", how="left")
    )
    return every.with_columns(pl.col("popularity").fill_null(0).cast(pl.Float64)).sort("item_id").to_pandas()


def _negatives(
    positives: pd.DataFrame, events: pl.DataFrame, catalogue: pd.DataFrame, policy: Policy
) -> pd.DataFrame:
    """Items drawn beside each positive one, `negatives` at most; fewer where the user knew what was drawn."""
    share = np.cumsum(catalogue["popularity"].to_numpy() ** SMOOTHING)
    many = len(positives)
    names = [f"{group}|{k}" for k in range(policy.negatives) for group in positives["group_id"]]
    drawn = np.searchsorted(share, hash_unit(names, "assay-negatives-1") * share[-1], side="right")
    rows = positives.iloc[np.tile(np.arange(many), policy.negatives)].reset_index(drop=True)
    drawn = np.minimum(drawn, len(catalogue) - 1)
    for column in ("item_id", "item"):
        rows[column] = catalogue[column].to_numpy()[drawn]
    rows["grade"] = 0.0
    # Known by then: done before the cut, or what is foretold itself.
    known = events.select("user_id", "item_id", pl.col("n").alias("done")).to_pandas()
    done = (
        rows[["unit", "item_id"]]
        .merge(known, left_on=["unit", "item_id"], right_on=["user_id", "item_id"], how="left")["done"]
        .to_numpy()
    )
    fresh = ~(done <= rows["n"].to_numpy())
    return rows[fresh].drop_duplicates(["group_id", "item_id"]).reset_index(drop=True)


def _seen(events: pl.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """Items that the user of each test list knew before it, the newest last."""
    lists = pl.from_pandas(tested[["unit", "group_id", "n"]].rename(columns={"unit": "user_id", "n": "cut"}))
    found = events.join(lists, on="user_id", how="inner", maintain_order="left").filter(
        pl.col("n") < pl.col("cut")
    )
    return found.select("group_id", "item_id").to_pandas()


def _known(positives: pd.DataFrame, ledger: Ledger) -> tuple[pd.DataFrame, Sequence[str]]:
    """Lists whose right choice is known in training, and all choices that are."""
    choices = sorted(set(positives.loc[positives["split"] == "train", "item_id"]))
    if len(choices) < 2:
        raise BadInput(f"one choice only ({', '.join(choices)}): there is nothing to foretell")
    new = ~positives["item_id"].isin(choices)
    ledger.drop("unknown_choice", int(new.sum()), positives.loc[new, "item_id"].head(20).tolist())
    return positives[~new].reset_index(drop=True), choices


def _every(positives: pd.DataFrame, choices: Sequence[str]) -> pd.DataFrame:
    """Each list with every choice, one of them right."""
    every = positives.loc[positives.index.repeat(len(choices))].reset_index(drop=True)
    right = every["item_id"].to_numpy()
    every["item_id"] = every["item"] = np.tile(np.asarray(choices, dtype=object), len(positives))
    every["grade"] = (every["item_id"].to_numpy() == right).astype(np.float64)
    return every
