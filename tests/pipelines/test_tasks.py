"""Every task end to end on a small store, through the real local runner."""

import json

import numpy as np
import pandas as pd
import pytest
from assay.components.core.metrics import ALSO, Lists
from assay.components.core.samples import read_samples
from assay.examples.store import StoreConfig, simulate, write
from assay.pipelines.erase import erase

from tests.conftest import Finished, assay

TASKS = {
    "recommendation": (
        "recommendation_sessions.parquet",
        ["--columns", "item=title", "--set", "policy.negatives=2", "--set", "policy.test_users=40"],
        "ndcg@10",
    ),
    "review": (
        "reviews.parquet",
        ["--columns", "query=title,text=text", "--set", "policy.label=rating"],
        "quadratic_kappa",
    ),
    "ads": (
        "ads.parquet",
        ["--columns", "query=placement+device+page,item=title+category,feature=bid+showings"],
        "log_loss",
    ),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of 60 queries."""
    folder = tmp_path_factory.mktemp("tasks") / "store"
    write(simulate(StoreConfig(queries=60, seed=3)), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_run_ends_with_a_report_by_the_metric_of_its_task(task, store, tmp_path, tiny_encoder):
    file, more, metric = TASKS[task]
    run = Finished(
        tmp_path,
        assay(
            "run", "--task", task, "--data", str(store / file), "--model", str(tiny_encoder),
            "--plan", "vectors", "--epochs", "1", "--budget", "0.5", *more, cwd=tmp_path,
        ),
    )  # fmt: skip
    summary = run.summary
    assert (summary["task"], summary["metric"]) == (task, metric)
    assert summary["also"] == [name for name in ALSO[task] if name != metric]
    assert summary["model"]["name"] == f"assay-{task}"
    plain = ["tfidf_lr", "popularity", "item_knn"] if task == "recommendation" else ["tfidf_lr"]
    models = ["random", "lexical", "base", *plain, "control", "challenger"]
    assert [name for name, found in summary["results"].items() if found] == models
    assert all(f"challenger-{name}" in summary["comparisons"] for name in plain)
    facts = json.loads((run.out / "samples" / "manifest.json").read_text())
    ledger = facts["ledger"]
    kept = ledger["rows_out"] + sum(ledger["dropped"].values())
    assert kept == ledger["rows_in"] == len(pd.read_parquet(store / file))
    samples = read_samples(run.out / "samples")
    assert len(samples) == ledger["rows_out"] + sum(ledger["added"].values())
    assert set(samples["task"]) == {task}
    table = pd.read_parquet(summary["files"]["predictions"])
    lists = Lists(
        *(table[c].to_numpy() for c in ("group_id", "grade", "sample_id")),
        summary["relevant_at"],
        scale=facts["max_grade"] if metric == "quadratic_kappa" else 0.0,
    )
    for name in models:
        found = lists.results(table[name].to_numpy(), metric, summary["also"])
        assert found == pytest.approx({key: summary["results"][name][key] for key in found}), name
    if task == "recommendation":
        assert summary["full_ranking"]["items"] == facts["catalogue"] > 100
        tested = samples[samples["split"] == "test"]
        assert tested["group_id"].nunique() == table["group_id"].nunique() == 40
        assert (tested["label"] == 1).all()
    else:
        assert summary["rare"]["relevant"] == int(lists.relevant.sum())
        assert len(table) == (samples["split"] == "test").sum()
    assert np.isfinite(table[models].to_numpy()).all()
    html = (run.out / "report.html").read_text()
    for words in (
        metric,
        "tfidf_lr",
        "missed in one of five" if task != "recommendation" else "whole catalogue",
    ):
        assert words in html
    assert run.result.stderr.count("tfidf_lr") == 1
    # A user whom the log names is forgotten by every file that such a run leaves.
    whose = pd.read_parquet(run.out / "samples" / "users.parquet").set_index("sample_id")["user_id"]
    user = whose[samples.loc[samples["split"] == "test", "sample_id"].iloc[0]]
    done = erase(user, run.folder / "runs")
    assert (done.samples, done.left) == ((whose == user).sum(), [])
    assert user not in repr(pd.read_parquet(summary["files"]["predictions"])["group_id"].tolist())
