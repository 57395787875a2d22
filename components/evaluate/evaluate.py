"""Rankers -> evidence: predictions, results, comparisons, the gate and the verdict, and the report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from assay.components.core import tracking
from assay.components.core.full_ranking import read_ranking
from assay.components.core.manifest import cpu_seconds, publishing, read_manifest, sha256_of, write_json
from assay.components.core.metrics import METRICS, PROBABLE, Lists, detectable
from assay.components.core.progress import say, steps
from assay.components.core.ranker import open_ranker
from assay.components.core.samples import read_samples, relevance
from assay.components.evaluate.baselines import bm25, calibrated, random_order
from assay.components.evaluate.card import card
from assay.components.evaluate.comparisons import Judged, baselines_of, best_arm, trainings
from assay.components.evaluate.costs import costs
from assay.components.evaluate.full_ranking import RERANKED, FullRanking
from assay.components.evaluate.gates import GateConfig, gate, slices, verdict
from assay.components.evaluate.plans import side_by_side
from assay.components.evaluate.report import write_report
from assay.components.evaluate.tfidf_lr import TfidfLR

RARE = 500
"""Relevant test rows below which it is said how little they can tell."""


@dataclass(frozen=True)
class Inputs:
    """Folders that `evaluate` reads.

    Attributes:
        samples: Sample table.
        vectors: What `embed` wrote.
        scores: What `score` wrote.
        selection: What `select` wrote.
        truth: What `ingest` kept aside.
        models: {arm, its repeat in its name: model folder of `finetune`}.
    """

    samples: str
    vectors: str
    scores: str
    selection: str
    truth: str
    models: dict[str, str]


@dataclass(frozen=True)
class Champion:
    """The model in service, as it was when the run looked.

    Attributes:
        version: Its number; "" where there is none.
        ranker: Its folder, or None.
    """

    version: str = ""
    ranker: Path | None = None


def find_champion(name: str, seen: str = "") -> Champion:
    """The champion of a registered model, fetched and checked.

    Args:
        name: Of the registered model.
        seen: Its version as the caller saw it, `none` where there was none; "" asks the registry now.
    """
    if seen == "none":
        return Champion()
    client = tracking.connect()
    if seen:
        version = tracking.find_version(client, name, seen)
    else:
        version = tracking.version_by_alias(client, name, tracking.CHAMPION)
    if version is None:
        return Champion()
    return Champion(str(version.version), tracking.download_version(client, version)["ranker"])


@dataclass(frozen=True)
class Predicted:
    """Scores of every model on the test rows.

    Attributes:
        table: sample_id, group_id, label, grade and a float64 column a model.
        segments: (n,) of its rows.
        milliseconds: CPU time a row of the challenger.
        full_ranking: Of a recommendation: `items` of the catalogue, and how many a cross-encoder `reranked`,
            0 where it is a bi-encoder.
    """

    table: pd.DataFrame
    segments: np.ndarray
    milliseconds: float
    full_ranking: dict[str, int] | None = None


def lists_of(table: pd.DataFrame, facts: dict[str, Any], gain: str) -> Lists:
    """Test rows in lists.

    Args:
        table: As `Predicted` has it.
        facts: Manifest of the samples.
        gain: A name of `GAINS`.
    """
    return Lists(
        table["group_id"].to_numpy(dtype=str),
        table["grade"].to_numpy(dtype=np.float64),
        table["sample_id"].to_numpy(dtype=str),
        facts["relevant_at"],
        gain,
        facts["max_grade"] if facts["metric"] == "quadratic_kappa" else 0.0,
    )


def predict(test: pd.DataFrame, inputs: Inputs, champion: Champion, facts: dict[str, Any]) -> Predicted:
    """Scores of every model on the test rows, or of a recommendation on the whole catalogue.

    Where a metric asks for probabilities, what has none is given some on the validation rows; rankers and
    the regression are taken at their word.

    Args:
        test: The test split.
        inputs: What to read.
        champion: The model in service.
        facts: Manifest of the samples.
    """
    catalogue = read_ranking(inputs.samples)
    folders = {arm: Path(folder) / "ranker" for arm, folder in inputs.models.items()}
    if champion.ranker is not None:
        folders["champion"] = champion.ranker
    if catalogue is not None:
        return _over_catalogue(FullRanking(catalogue, test), inputs, folders)
    held = read_samples(inputs.samples, ["validation"])
    plain, held_plain = (_untrained(rows, inputs.vectors) for rows in (test, held))
    if any(name in PROBABLE for name in (facts["metric"], *facts["also"])):
        lists = lists_of(held[["sample_id", "group_id"]].assign(grade=relevance(held)), facts, "linear")
        true = held["label"].to_numpy(np.float64) if lists.scale else lists.relevant.astype(np.float64)
        plain = {name: calibrated(held_plain[name], true, found) for name, found in plain.items()}
    table = test[["sample_id", "group_id", "label"]].copy()
    # What metrics are computed from, also where labels are clicks and there is no human grade.
    table["grade"] = relevance(test)
    contexts, items = test["context"].tolist(), test["item"].tolist()
    plain["tfidf_lr"] = _tfidf_lr(inputs.samples, held).pairs(contexts, items)
    for name, found in plain.items():
        table[name] = found
    milliseconds = 0.0
    for name, folder in folders.items():
        ranker = open_ranker(folder)
        started = cpu_seconds()
        pairs = ranker.tokenise(contexts, items)
        scores = ranker.score(pairs, progress=lambda b, n=name: steps(b, f"evaluate {n}", "batch"))
        table[name] = scores.astype(np.float64)
        if name == "challenger":
            milliseconds = 1000 * (cpu_seconds() - started) / len(test)
    return Predicted(table, test["segment"].to_numpy(dtype=str), milliseconds)


def _over_catalogue(ranking: FullRanking, inputs: Inputs, folders: dict[str, Path]) -> Predicted:
    scores = ranking.baselines(inputs.vectors)
    held = read_samples(inputs.samples, ["validation"])
    scores["tfidf_lr"] = _tfidf_lr(inputs.samples, held).of_all(ranking.contexts, ranking.texts)
    milliseconds, reranked = 0.0, 0
    for name, folder in folders.items():
        started = cpu_seconds()
        scores[name] = ranking.scored(folder)
        ranked = np.isfinite(scores[name])
        say(f"evaluate {name}", f"{ranked.sum()} items of {len(ranked)} lists")
        if name == "challenger":
            milliseconds = 1000 * (cpu_seconds() - started) / ranked.sum()
            reranked = 0 if ranked.all() else RERANKED
    table = ranking.table(scores)
    segments = table["segment"].to_numpy(dtype=str)
    table = table.drop(columns=["context", "item", "segment"])
    return Predicted(table, segments, milliseconds, {"items": len(ranking.items), "reranked": reranked})


def _untrained(rows: pd.DataFrame, vectors: str) -> dict[str, np.ndarray]:
    """{model: (n,) float64} of what needs no training."""
    ids = pd.read_parquet(Path(vectors) / "sample_ids.parquet")["sample_id"]
    cosine = pd.Series(np.load(Path(vectors) / "cosine.npy"), index=ids)
    return {
        "random": random_order(rows["sample_id"].tolist()),
        "lexical": bm25(rows["context"].tolist(), rows["item"].tolist()),
        "base": cosine[rows["sample_id"]].to_numpy(dtype=np.float64),
    }


def _tfidf_lr(samples: str, held: pd.DataFrame) -> TfidfLR:
    """TF-IDF and logistic regression on all training rows."""
    train = read_samples(samples, ["train"])
    fit, choose = (
        (
            rows["context"].tolist(),
            rows["item"].tolist(),
            rows["label"].to_numpy(np.float64),
            rows["weight"].to_numpy(np.float64),
        )
        for rows in (train, held)
    )
    return TfidfLR(*fit[:2]).fit(fit, choose)


def noise_found(truth: pd.DataFrame, scores: pd.DataFrame, rate: float) -> dict | None:
    """How well planted noise was found: AUROC of the noise score, precision and recall of drop or relabel."""
    from sklearn.metrics import roc_auc_score

    if not truth["flipped"].any() or truth["flipped"].all():
        return None
    rows = scores.merge(truth[["sample_id", "flipped"]], on="sample_id")
    flipped = rows["flipped"].to_numpy()
    flagged = rows["decision"].isin(["drop", "relabel"]).to_numpy()
    hits = int((flagged & flipped).sum())
    return {
        "rate": rate,
        "auroc": float(roc_auc_score(flipped, rows["noise"])),
        "precision": hits / max(1, int(flagged.sum())),
        "recall": hits / int(flipped.sum()),
    }


def evaluate(
    inputs: Inputs,
    predictions_folder: str,
    evidence_folder: str,
    report_file: str,
    name: str,
    gain: str = "exponential",
    gates: GateConfig | None = None,
    seed: int = 0,
    champion_seen: str = "",
) -> dict:
    """Compare the arms, judge, and publish predictions, evidence and report.

    Args:
        inputs: What to read.
        predictions_folder: Gets `predictions.parquet`; every figure in `results` can be recomputed from it.
        evidence_folder: Gets `evidence.json`.
        report_file: The HTML report.
        name: Of the registered model whose champion is compared.
        gain: A name of `GAINS`.
        gates: Bounds of the gate.
        seed: Of the bootstrap.
        champion_seen: As `find_champion` takes it.

    Returns:
        The evidence.
    """
    started = time.perf_counter()
    facts = read_manifest(inputs.samples)
    test = read_samples(inputs.samples, ["test"])
    champion = find_champion(name, champion_seen)
    predicted = predict(test, inputs, champion, facts)
    table, metric, also = predicted.table, facts["metric"], tuple(facts["also"])
    lists = lists_of(table, facts, gain)
    say("evaluate", f"{metric}, {len(lists.ranked())} lists, {lists.skipped()} left out")
    manifests = {arm: read_manifest(folder) for arm, folder in inputs.models.items()}
    judged = Judged(lists, table, trainings(inputs.models), metric, seed, also)
    results, comparisons = judged.results(manifests), judged.comparisons()
    against = "champion" if champion.version else "base"
    challenger = table["challenger"].to_numpy()
    by_slice = slices(lists, predicted.segments, challenger, table[against].to_numpy(), metric)
    weights = sum(
        f.stat().st_size for f in (Path(inputs.models["challenger"]) / "ranker").glob("*.safetensors")
    )
    passed = gate(
        gates or GateConfig(),
        against,
        judged.once(against),
        by_slice,
        challenger,
        lists.relevant,
        predicted.milliseconds,
        weights / 1e6,
        metric,
    )
    scores = pd.read_parquet(Path(inputs.scores) / "scores.parquet")
    scored = read_manifest(inputs.scores)
    selection, selected = read_manifest(inputs.selection), _selected(inputs)
    train = read_samples(inputs.samples, ["train"])
    truth = pd.read_parquet(Path(inputs.truth) / "truth.parquet")
    cost = costs(inputs.vectors, inputs.scores, inputs.selection, inputs.models)
    evidence = {
        "metric": metric,
        "also": list(also),
        "full_ranking": predicted.full_ranking,
        "rare": rare(lists, comparisons, metric),
        "gain": gain,
        "relevant_at": facts["relevant_at"],
        "groups": {"test": int(test["group_id"].nunique()), "skipped": lists.skipped()},
        "budget": selection["budget"],
        "selected": selection["selected"],
        "results": results,
        "comparisons": comparisons,
        "verdict": verdict(comparisons["challenger-control"], metric),
        "noise": noise_found(truth, scores, facts["noise"]),
        "noise_estimate": scored["methods"].get("label_quality", {}).get("noise"),
        "noise_by_grade": scored["methods"].get("label_quality", {}).get("grades"),
        "looks_wrong": scored["looks_wrong"],
        "weights": scored["weights"],
        "weights_learned": scored["weights_learned"],
        "diagnosis": diagnosed(inputs),
        "cost": cost,
        "plans": side_by_side(
            scores,
            pd.read_parquet(Path(inputs.scores) / "plans.parquet"),
            train[["sample_id", "task", "label"]],
            selected.loc[selected["arm"] == "challenger", "sample_id"].to_numpy(),
            truth.set_index("sample_id")["flipped"] if truth["flipped"].any() else None,
            scored,
            cost["parts"],
        ),
        "gate": passed,
        "slices": by_slice,
        "champion_version": champion.version,
        "challenger_sha256": sha256_of(Path(inputs.models["challenger"]) / "ranker"),
        "resampled": judged.resampled,
        "best_arm": best_arm(results, judged.arms, metric),
        "baselines": baselines_of(comparisons, _words(selected, judged.baselines), metric),
        "points": judged.points(manifests),
        "auto": selection["facts"].get("auto"),
        "card": card(train, selected, selection, inputs.vectors, facts["relevant_at"], seed),
    }
    with publishing(predictions_folder, samples_sha256=facts["sha256"]) as (folder, _):
        table.to_parquet(folder / "predictions.parquet", index=False)
    suspects = _suspects(inputs, test)
    write_report(Path(report_file), evidence, facts, scores, selected, train, _dynamics(inputs), suspects)
    with publishing(evidence_folder, samples_sha256=facts["sha256"], seed=seed) as (folder, _):
        write_json(folder / "evidence.json", evidence)
    say("evaluate", f"{evidence['verdict']} in {time.perf_counter() - started:.0f} s")
    return evidence


def rare(lists: Lists, comparisons: dict[str, dict[str, float] | None], metric: str) -> dict[str, Any] | None:
    """How little so few relevant rows can tell; None where they are `RARE` or more, or lists are ranked.

    Returns:
        `rows`, how many of them are `relevant`, and the smallest true difference, `detectable`, that would
        be found four times in five, from the control, or where there is none from the base: `against`.
    """
    relevant = int(lists.relevant.sum())
    if METRICS[metric].by_list or relevant >= RARE:
        return None
    against = "control" if comparisons["challenger-control"] else "base"
    found = comparisons[f"challenger-{against}"] or {}
    return {
        "rows": len(lists.grades),
        "relevant": relevant,
        "against": against,
        "detectable": detectable(found),
    }


def diagnosed(inputs: Inputs) -> dict[str, dict[str, int]] | None:
    """{split: rows scored for diagnosis, and how many of them look mislabelled}; None where none were."""
    table = _diagnosis(inputs)
    if table is None:
        return None
    wrong = table["decision"] != "keep"
    return {
        split: {"rows": int(mine.sum()), "look_mislabelled": int((mine & wrong).sum())}
        for split in sorted(set(table["split"]))
        for mine in [table["split"] == split]
    }


def _diagnosis(inputs: Inputs) -> pd.DataFrame | None:
    file = Path(inputs.scores) / "diagnosis.parquet"
    return pd.read_parquet(file) if file.is_file() else None


def _suspects(inputs: Inputs, test: pd.DataFrame) -> pd.DataFrame | None:
    """Test rows that look mislabelled, with their texts."""
    table = _diagnosis(inputs)
    if table is None or not (table["split"] == "test").any():
        return None
    table = table[(table["split"] == "test") & (table["decision"] != "keep")]
    return table.merge(test[["sample_id", "context", "item", "label"]], on="sample_id")


def _dynamics(inputs: Inputs) -> tuple[str, pd.DataFrame]:
    """Of the arm that says most of the log: all rows, else a random sample of them, else those chosen."""
    arm = next(name for name in ("full", "control", "challenger") if name in inputs.models)
    return arm, pd.read_parquet(Path(inputs.models[arm]) / "dynamics.parquet")


def _selected(inputs: Inputs) -> pd.DataFrame:
    return pd.read_parquet(Path(inputs.selection) / "selection.parquet")


def _words(selection: pd.DataFrame, arms: list[str]) -> dict[str, str]:
    """{baseline: which rows these are}: the selection says it of every row of one."""
    first = selection.drop_duplicates("arm").set_index("arm")["why"]
    return {arm: str(first[arm]) for arm in arms}
