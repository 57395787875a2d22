"""Claim: rows that were not measured get a rank by a surrogate that agrees with measuring them, or a refusal.

Work: the simulated store (its judgments with what its catalogue knows of the items) and, where ASSAY_DATA is,
MSRD movie search; 30 % planted flips; two warm-up bi-encoders trained by `finetune` on disjoint tenths, as a
run does. Influence, EL2N and margin are measured on all rows and on a share of 0.3; the surrogate gives the
other rows, told the features alone, and features and traits. R2 of ranks and Spearman are on rows that were
not measured. CPU seconds: of measuring all rows, and of measuring the share with the surrogate; `traits` is
what `embed` takes longer for them.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.manifest import read_manifest
from assay.components.core.progress import say
from assay.components.embed.embed import embed
from assay.components.embed.traits import FAMILIES
from assay.components.finetune.finetune import FinetuneConfig, finetune
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.score.inputs import Inputs
from assay.components.score.methods import METHODS
from assay.components.score.reading import read_inputs
from assay.components.score.score import told
from assay.components.score.surrogate import LEAST, surrogate
from assay.components.select.select import warm_up_shares
from record import record
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import r2_score

MEASURED = 0.3
ROWS = 1_500 if os.environ.get("QUICK") else 2_960
ASKED = ("influence", "el2n", "margin")


def sets(scratch: Path) -> dict[str, dict]:
    """{name: settings of `ingest`}."""
    from assay.examples.store import StoreConfig, simulate

    store = simulate(StoreConfig())
    known = store.items[["item_id", "category", "line", "brand", "colour", "size", "price"]]
    rows = store.judgments.merge(known, on="item_id").rename(columns={"line": "type"})
    rows.to_parquet(scratch / "store.parquet")
    found = {"store": (scratch / "store.parquet", "query=query,item=title,label=grade,item_id=item_id")}
    folder = os.environ.get("ASSAY_DATA", "")
    if folder:
        pairs = pd.read_parquet(f"{folder}/search_msrd_movies/pairs.parquet")
        # The first genre that a movie is filed under.
        pairs["category"] = pairs["genres"].str.split(",").str[0].str.strip().str.lower()
        pairs.to_parquet(scratch / "msrd.parquet")
        found["msrd"] = (
            scratch / "msrd.parquet",
            "query=query,item=product_title,label=grade,item_id=product_id",
        )
    return {
        name: {"data": str(data), "columns": parse_columns(columns), "sample": ROWS, "test_sample": 200}
        for name, (data, columns) in found.items()
    }


def prepared(settings: dict, folder: Path) -> tuple[Inputs, float, dict]:
    """Rows, features, traits and warm-ups as a run makes them; CPU seconds and facts of the traits."""
    place = {
        name: str(folder / name) for name in ("samples", "texts", "truth", "vectors", "encoder", "shares")
    }
    ingest(IngestConfig(noise=0.3, seed=0, **settings), *(place[n] for n in ("samples", "texts", "truth")))
    names = [place[n] for n in ("samples", "texts", "vectors", "encoder")]
    seconds = []
    for traits in ((), FAMILIES):
        started = time.process_time()
        about = embed(*names, "minilm", 0, traits=traits)
        seconds.append(time.process_time() - started)
    warm_up_shares(place["samples"], place["shares"], 0.1, 0)
    warm_ups = {}
    for share in ("a", "b"):
        warm_ups[share] = str(folder / f"warm-up-{share}")
        finetune(FinetuneConfig(share), place["samples"], place["shares"], warm_ups[share])
    relevant_at = read_manifest(place["samples"])["relevant_at"]
    inputs = read_inputs(place["samples"], place["vectors"], warm_ups, relevant_at, 0)
    return inputs, seconds[1] - seconds[0], about["traits"]


def measure(inputs: Inputs, some: np.ndarray) -> tuple[dict, dict]:
    """({method: values and CPU seconds on all rows}, {method: values and CPU seconds on the share})."""
    whole, share = {}, {}
    part = dataclasses.replace(inputs.only(some), facts={})
    for of, found in ((inputs, whole), (part, share)):
        # Logits serve several methods: they are counted once, in the first.
        for name in ASKED:
            started = time.process_time()
            values = METHODS[name].compute(of)
            found[name] = (values, time.process_time() - started)
            say("surrogate", f"{name}, {len(of.samples)} rows: {found[name][1]:.1f} CPU s")
    return whole, share


def main() -> None:
    """Measure, print, write."""
    figures, table = (
        {},
        Table("set", "method", "told", "model", "features", "R2", "Spearman", "CPU s", "all, CPU s"),
    )
    with tempfile.TemporaryDirectory() as scratch:
        for name, settings in sets(Path(scratch)).items():
            folder = Path(scratch) / name
            folder.mkdir()
            inputs, trait_seconds, facts = prepared(settings, folder)
            some = np.flatnonzero(inputs.random() < MEASURED)
            rest = np.setdiff1d(np.arange(len(inputs.samples)), some)
            whole, share = measure(inputs, some)
            figures[name] = {
                "rows": len(inputs.samples), "measured": len(some), "trait_seconds": trait_seconds,
                "traits": facts,
            }  # fmt: skip
            plain = dataclasses.replace(inputs, traits=None, trait_words=[])
            for method in ASKED:
                expected = rankdata(whole[method][0])[rest] / len(inputs.samples)
                for what, of in (("features", plain), ("features and traits", inputs)):
                    started = time.process_time()
                    # No bound here: what would be refused is printed, as refused.
                    found = surrogate(*told(of), some, share[method][0], 0, least=-1.0)
                    taken = time.process_time() - started + share[method][1]
                    agreement = float(spearmanr(found.values[rest], expected).statistic)
                    figures[name][f"{method}, {what}"] = {
                        "model": found.model, "settings": found.settings, "kept": found.kept,
                        "r2": float(r2_score(expected, found.values[rest])), "spearman": agreement,
                        "told_spearman": found.spearman, "refused": found.spearman < LEAST,
                        "importances": dict(list(found.importances.items())[:5]),
                        "seconds": taken, "surrogate_seconds": taken - share[method][1],
                        "seconds_all": whole[method][1],
                    }  # fmt: skip
                    line = figures[name][f"{method}, {what}"]
                    shown = f"{agreement:.3f}" + (" (refused)" if line["refused"] else "")
                    table.add_row(
                        name, method, what, found.model, found.settings["features"], f"{line['r2']:.3f}",
                        shown, f"{taken:.1f}", f"{line['seconds_all']:.1f}",
                    )  # fmt: skip
                    say("surrogate", f"{name} {method} {what}: {shown}, {taken:.1f} CPU s")
            record("surrogate", figures)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
