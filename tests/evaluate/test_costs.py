"""Costs, from manifests made up so that they can be added by hand."""

import json

import pytest
from assay.components.evaluate.costs import break_even, costs


def trained(rows, fixed=20.0, a_row=0.05, epochs=3):
    history = [{"epoch": float(k + 1)} for k in range(epochs)]
    return {"seconds": fixed + a_row * rows * epochs, "train_rows": rows, "history": history}


@pytest.fixture
def folders(tmp_path):
    def folder(name, **manifest):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
        return str(tmp_path / name)

    models = {"challenger": 300, "control": 300, "full": 1000, "challenger:1": 300, "loss": 300}
    return (
        folder("vectors", seconds=10.04),
        folder("scores", seconds=5.0, measure_seconds=40.0, warm_up_seconds=30.0),
        folder("selection", seconds=2.0),
        {arm: folder(arm, **trained(rows)) for arm, rows in models.items()},
    )


def test_the_path_and_the_proof_add_up(folders):
    found = costs(*folders)
    assert found["parts"] == {"embed": 10.0, "warm_up": 30.0, "measure": 40.0, "score": 5.0, "select": 2.0}
    assert found["selection_seconds"] == 87.0
    assert (found["challenger_seconds"], found["full_seconds"]) == (65.0, 170.0)
    assert found["ratio"] == pytest.approx((87 + 65) / 170, abs=0.001)
    assert found["proof_seconds"] == 65 + 170 + 65 + 65
    # 700 rows fewer at 0.05 seconds save 35 seconds an epoch.
    assert found["break_even_epochs"] == pytest.approx(87 / 35, abs=0.01)


def test_without_full_nothing_is_known_of_the_ratio_and_the_epochs(folders):
    *others, models = folders
    del models["full"]
    found = costs(*others, models)
    assert found["full_seconds"] is found["ratio"] is found["break_even_epochs"] is None


@pytest.mark.parametrize("fixed", [0.0, 200.0])
@pytest.mark.parametrize("epochs", [1, 3, 10])
def test_at_the_epochs_where_it_breaks_even_both_ways_cost_the_same(fixed, epochs):
    found = break_even(87.0, trained(300, fixed, 0.05, epochs), trained(1000, fixed, 0.05, epochs))
    path = 87.0 + trained(300, fixed, 0.05 * found, 1)["seconds"]
    assert path == pytest.approx(trained(1000, fixed, 0.05 * found, 1)["seconds"], rel=0.005)


def test_a_training_that_stopped_early_is_counted_by_the_epochs_it_ran():
    found = break_even(87.0, trained(300, 0.0, 0.05, 3), trained(1000, 0.0, 0.05, 2))
    assert found == pytest.approx(87 / 35, abs=0.01)


def test_rows_that_are_no_fewer_never_break_even():
    assert break_even(87.0, trained(1000), trained(1000)) is None
    assert break_even(87.0, trained(300), trained(1000, a_row=0.0001)) is None
