"""Claim: planted label flips are found better than by cleanlab's self-confidence on the same vectors.

Work: the simulated store, MSRD movie search and Chinese shop reviews (the latter two where ASSAY_DATA is), 20
and 30 % of the training labels flipped. Peer: cleanlab as its tutorial has it, self-confidence on five-fold
out-of-sample probabilities of scikit-learn's logistic regression, on the same features. A second column gives
the peer the best regularisation by log loss. `ours` is the probability of the side (relevant or not) that the
label names, and sees no trusted row. `with target` is what a run uses, label quality (of more than two grades
it looks at the target), and the agreement of the nearest trusted rows beside it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from assay.components.core.manifest import read_manifest
from assay.components.embed.embed import embed
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, ingest
from assay.components.score.inputs import Inputs
from assay.components.score.label_noise import label_quality, opinion
from assay.components.score.neighbours import target_agreement
from assay.components.score.reading import read_inputs
from cleanlab.rank import get_label_quality_scores
from record import record
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

AGREEMENT = 0.2
ROWS = 2_000 if os.environ.get("QUICK") else 4_000


def sets(scratch: Path) -> dict[str, dict]:
    """{name: settings of `ingest`}."""
    from assay.examples.store import StoreConfig, simulate, write

    write(simulate(StoreConfig()), scratch / "store")
    found = {
        "store": {
            "data": str(scratch / "store" / "judgments.parquet"),
            "columns": "query=query,item=title,label=grade,item_id=item_id",
        }
    }
    folder = os.environ.get("ASSAY_DATA", "")
    if folder:
        found["msrd"] = {
            "data": f"{folder}/search_msrd_movies/pairs.parquet",
            "columns": "query=query,item=product_title,label=grade,item_id=product_id",
        }
        found["reviews_zh"] = {
            "data": f"{folder}/reviews_zh_online_shopping/reviews.parquet",
            "columns": "query=category,item=review_text,label=sentiment,group=review_id",
        }
    return {
        name: kept | {"columns": parse_columns(kept["columns"]), "sample": ROWS, "test_sample": 100}
        for name, kept in found.items()
    }


def prepared(settings: dict, noise: float, folder: Path) -> tuple[Inputs, np.ndarray]:
    """Rows with planted flips and their features; and which were flipped."""
    names = [str(folder / name) for name in ("samples", "texts", "truth", "vectors", "encoder")]
    ingest(IngestConfig(noise=noise, seed=0, **settings), *names[:3])
    # No label is looked at: one embedding serves every share of flips.
    if not Path(names[3]).is_dir():
        embed(names[0], names[1], names[3], names[4], "minilm", seed=0)
    inputs = read_inputs(names[0], names[3], {}, read_manifest(names[0])["relevant_at"], seed=0)
    truth = pd.read_parquet(folder / "truth" / "truth.parquet").set_index("sample_id")
    return inputs, truth.loc[inputs.samples["sample_id"], "flipped"].to_numpy()


def self_confidence(inputs: Inputs, model) -> np.ndarray:
    """cleanlab's, on five-fold probabilities of a model."""
    y = inputs.relevant.astype(int)
    probability = cross_val_predict(model, inputs.features, y, cv=5, method="predict_proba")
    return get_label_quality_scores(y, probability, method="self_confidence")


def of_side(inputs: Inputs) -> np.ndarray:
    """Probability of the side that the label names, by classifiers that saw neither it nor the target."""
    probability = opinion(inputs).rows[:, inputs.grades.first_relevant :].sum(axis=1)
    return np.where(inputs.relevant, probability, 1 - probability)


def with_target(inputs: Inputs) -> np.ndarray:
    """Log odds of label quality, and a share of those by the nearest trusted rows."""
    quality, agreement = (
        np.log(p / (1 - p))
        for p in (np.clip(x, 1e-3, 1 - 1e-3) for x in (label_quality(inputs), target_agreement(inputs)))
    )
    return quality + AGREEMENT * agreement


def main() -> None:
    """Measure, print, write."""
    figures, budget = {}, {}
    table = Table("set", "flips", "rows", "cleanlab", "tuned", "ours", "with target", "error, ratio")
    with tempfile.TemporaryDirectory() as scratch:
        for name, settings in sets(Path(scratch)).items():
            for noise in (0.2, 0.3):
                folder = Path(scratch) / "work" / name
                folder.mkdir(parents=True, exist_ok=True)
                inputs, flipped = prepared(settings, noise, folder)
                tuned = LogisticRegressionCV(
                    Cs=[1.0, 0.1, 0.01, 0.001],
                    cv=5,
                    scoring="neg_log_loss",
                    max_iter=500,
                    l1_ratios=(0.0,),
                    use_legacy_attributes=False,
                )
                scores = {
                    "cleanlab": self_confidence(inputs, LogisticRegression(max_iter=1000)),
                    "cleanlab, tuned": self_confidence(inputs, tuned),
                    "ours": of_side(inputs),
                    "ours, with target": with_target(inputs),
                }
                found = {key: float(roc_auc_score(flipped, -score)) for key, score in scores.items()}
                ratio = (1 - found["ours"]) / (1 - found["cleanlab"])
                estimate = inputs.facts["label_quality"]["noise"]
                figures[f"{name}, {noise:.0%}"] = {
                    "rows": len(flipped), "auroc": found, "error_ratio": ratio, "estimated_rate": estimate,
                    "true_rate": float(flipped.mean()),
                }  # fmt: skip
                budget[f"{name}, {noise:.0%}: error / cleanlab's"] = (ratio, "<=", 0.85)
                shown = [f"{v:.4f}" for v in found.values()]
                table.add_row(name, f"{noise:.0%}", str(len(flipped)), *shown, f"{ratio:.3f}")
    Console(width=130).print(table)
    record("noise", figures, budget)


if __name__ == "__main__":
    main()
