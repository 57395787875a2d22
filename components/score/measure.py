"""The methods that the warm-up rankers give, of one shard's rows: what `score` computes all else beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.manifest import cpu_seconds, publishing, read_manifest
from assay.components.core.progress import say
from assay.components.core.samples import SPLITS
from assay.components.score.inputs import Inputs, WarmUp, drawn_from
from assay.components.score.methods import METHODS, check_methods, compute
from assay.components.score.reading import read_inputs
from assay.components.score.store import ScoreStore

MEASURED = "measured.parquet"
LOGIT = "logit"


def measure(
    samples_folder: str,
    vectors_folder: str,
    warm_up_folders: dict[str, str],
    measured_folder: str,
    methods: Sequence[str],
    shard: str = "",
    share: float = 1.0,
    splits: Sequence[str] = ("train",),
    store: str = "",
    seed: int = 0,
) -> dict:
    """Measure the rows of a shard and publish `measured.parquet`, in `sample_id` order within a split.

    Also for new rows alone: with warm-ups that are there already, and their store, they are measured as the
    old ones were.

    Args:
        samples_folder: A sample table.
        vectors_folder: What `embed` wrote.
        warm_up_folders: {name: model folder of `finetune`}; the first scores every row it has not seen. None
            where no method asks one: `scored_by` is then "".
        measured_folder: Gets `measured.parquet`: sample_id, split, scored_by, logit and a column a method;
            null in rows that were not measured.
        methods: Names of `METHODS`; of those that `score` computes, nothing is measured.
        shard: Name of a shard of the sample table; "" is all of it.
        share: Of the rows, which are measured: chosen by hash, the same whatever the shard.
        splits: Rows of which splits; those of train are measured apart, and alike whatever else is named.
        store: Folder of a `ScoreStore`; "" is none.
        seed: Of random draws.

    Returns:
        Rows, and rows measured anew.

    Raises:
        ValueError: A method or split is unknown, or cannot be measured.
    """
    check_methods(methods)
    unknown = sorted(set(splits) - (set(SPLITS) - {"target"}))
    if unknown:
        raise ValueError(f"splits {', '.join(unknown)}: score train, validation or test")
    names = [name for name in methods if METHODS[name].measured]
    relevant_at = read_manifest(samples_folder)["relevant_at"]
    tables, seconds, new = [], dict.fromkeys(names, 0.0), 0
    facts: dict = {}
    # Rows to diagnose share no batch with training rows, whose scores must not know of them.
    for part in (["train"], sorted(set(splits) - {"train"})):
        if not set(part) & set(splits):
            continue
        inputs = read_inputs(samples_folder, vectors_folder, warm_up_folders, relevant_at, seed, part, shard)
        scored_by = inputs.scorer if inputs.warm_ups else ""
        table = inputs.samples[["sample_id", "split"]].astype(str).assign(scored_by=scored_by)
        some = np.flatnonzero(inputs.random() < share)
        values, took, fresh = measured(inputs if len(some) == len(table) else inputs.only(some), names, store)
        tables.append(table.join(values.set_axis(some)))
        seconds = {name: round(seconds[name] + took[name], 3) for name in names}
        facts, new = joined([facts, inputs.facts]), new + fresh
    about = {
        "shard": shard,
        "share": share,
        "splits": list(splits),
        "rows": sum(map(len, tables)),
        "measured_anew": new,
        "method_seconds": seconds,
        "methods": facts,
        "warm_up_seconds": sum((read_manifest(f)["seconds"] for f in warm_up_folders.values()), 0.0),
    }
    with publishing(measured_folder, seed=seed, **about) as (folder, _):
        pd.concat(tables, ignore_index=True).to_parquet(folder / MEASURED, index=False)
    return {"rows": about["rows"], "measured_anew": new}


def measured(
    inputs: Inputs, names: list[str], store: str | Path = ""
) -> tuple[pd.DataFrame, dict[str, float], int]:
    """The rankers' scores of all rows of some inputs.

    Args:
        inputs: All of it.
        names: Methods with `Method.measured`.
        store: Folder where scores are looked up, and new ones added; "" is none.

    Returns:
        (n, 1 + names) float64, the first column being `logit`; CPU seconds a method; rows measured anew.
    """
    columns = [LOGIT, *names] if names else []
    kept = pd.DataFrame(np.nan, index=range(len(inputs.samples)), columns=columns)
    seconds = dict.fromkeys(names, 0.0)
    if not names or not len(inputs.samples):
        return kept, seconds, 0
    shelf = None
    if store:
        versions = {LOGIT: "1"} | {name: version_of(name, inputs) for name in names}
        shelf = ScoreStore(store, inputs.target, inputs.seed, versions)
        inputs, kept = remembering(inputs, shelf, columns)
    values = kept.copy()
    missing = {name: np.flatnonzero(kept[name].isna()) for name in columns}
    # Methods that lack the same rows share what is computed once of them.
    parts = {
        rows.tobytes(): gathered(inputs.only(rows)) for rows in missing.values() if 0 < len(rows) < len(kept)
    }
    for name in columns:
        rows = missing[name]
        if not len(rows):
            continue
        part, started = parts.get(rows.tobytes(), inputs), cpu_seconds()
        found = part.logits if name == LOGIT else compute(part, name)
        values.loc[rows, name] = found
        if name != LOGIT:
            seconds[name] = round(cpu_seconds() - started, 3)
            say("measure", f"{name}: {len(rows)} of {len(kept)} rows, {seconds[name]:.1f} CPU s")
    if shelf is not None:
        put(shelf, inputs, values.where(kept.isna()))
    return values, seconds, int(kept.isna().any(axis=1).sum())


def gathered(inputs: Inputs) -> Inputs:
    """Inputs whose rows share batches whatever their blocks: what a store lacks is a few rows of each.

    Their last digits depend on what it lacked already; a block's handful alone would be mostly padding.
    """
    return replace(inputs, samples=inputs.samples.drop(columns="block", errors="ignore"))


def remembering(inputs: Inputs, shelf: ScoreStore, columns: list[str]) -> tuple[Inputs, pd.DataFrame]:
    """Inputs that measure as the store says, and what it holds of their rows."""
    kept = pd.DataFrame(np.nan, index=range(len(inputs.samples)), columns=columns)
    digests = {warm_up.name: digest_of(warm_up) for warm_up in inputs.warm_ups}
    ways = dict(inputs.ways)
    for name, digest in digests.items():
        ways |= {(method, name, group): way for (method, group), way in shelf.ways(digest).items()}
        mine = np.flatnonzero(inputs.scorer == name)
        if len(mine):
            found = shelf.known(digest, inputs.samples.iloc[mine], columns)
            kept.iloc[mine] = found.to_numpy()

    def draw(name: str) -> pd.DataFrame:
        own = inputs.draw or (lambda name: drawn_from(inputs.samples, inputs.warm_ups, inputs.seed, name))
        return shelf.reference(digests[name], lambda: own(name))

    return replace(inputs, draw=draw, reference={}, ways=ways), kept


def put(shelf: ScoreStore, inputs: Inputs, values: pd.DataFrame) -> None:
    """Add to the store what was measured, and how."""
    for warm_up in inputs.warm_ups:
        digest = digest_of(warm_up)
        mine = np.flatnonzero(inputs.scorer == warm_up.name)
        shelf.add(digest, inputs.samples.iloc[mine], values.iloc[mine])
        for (method, name, group), way in inputs.ways.items():
            if name == warm_up.name and method in shelf.versions:
                shelf.keep_way(digest, method, group, way)


@cache
def _digest_by(say: Callable[[], str]) -> str:
    # Two hundred megabytes are hashed: once a process is enough.
    return say()


def version_of(name: str, inputs: Inputs) -> str:
    """Of a method's numbers; those that come from the target's own ranker are another's with another."""
    method = METHODS[name]
    tuned = f"-{digest_of(inputs.tuned)}" if "tuned" in method.needs and inputs.tuned else ""
    return f"{method.version}{tuned}"


def digest_of(warm_up: WarmUp) -> str:
    """Of a warm-up's weights.

    Raises:
        ValueError: It has none, so that a store could not tell it from another.
    """
    if warm_up.digest is None:
        raise ValueError(f"the score store needs a digest of warm-up {warm_up.name}, and it has none")
    return _digest_by(warm_up.digest)


def joined(facts: Sequence[dict]) -> dict:
    """Facts of several measurements as one: dicts are merged, of all else the last is taken."""
    out: dict = {}
    for one in facts:
        for key, value in one.items():
            both = isinstance(value, dict) and isinstance(out.get(key), dict)
            out[key] = joined([out[key], value]) if both else value
    return out
