"""Plans side by side, from scores made up so that the rows of each can be named by hand."""

import pandas as pd
import pytest
from assay.components.evaluate.plans import RUN, side_by_side

ROWS = [
    # sample, label, decision, importance, of plan vectors, flipped
    ("a", 1.0, "keep", 0.9, 0.9, False),
    ("b", 1.0, "keep", 0.8, 0.1, False),
    ("c", 1.0, "keep", 0.2, 0.8, True),
    ("d", 1.0, "drop", 0.1, 0.95, True),
    ("e", 0.0, "keep", 0.7, 0.6, False),
    ("f", 0.0, "keep", 0.6, 0.7, False),
]


def found(flipped=True):
    table = pd.DataFrame(
        ROWS, columns=["sample_id", "label", "decision", "importance", "vectors", "flipped"]
    ).assign(task="search")
    return side_by_side(
        table[["sample_id", "importance", "decision"]],
        table[["sample_id", "vectors"]].iloc[::-1],
        table[["sample_id", "task", "label"]],
        table["sample_id"].to_numpy()[[0, 1, 4]],
        table.set_index("sample_id")["flipped"].iloc[::-1] if flipped else None,
        {
            "method_seconds": {"label_quality": 1.0, "influence": 9.0},
            "plans": {
                "vectors": {"methods": ["label_quality"], "spares": {"warm_up": 30.0, "measure": 20.0}}
            },
        },
        {"embed": 10.0, "warm_up": 30.0, "measure": 20.0, "score": 5.0, "select": 1.0},
    )


def test_a_plan_takes_its_most_important_plausible_rows_of_each_label():
    run, vectors = found().values()
    assert (run["shared"], run["wrong"], run["spearman"]) == (1.0, 0.0, pytest.approx(1.0))
    # Of label 1 it takes a and c, since d looks wrong; of label 0, f: one row in three is the challenger's.
    assert vectors["shared"] == pytest.approx(1 / 3)
    assert vectors["wrong"] == pytest.approx(1 / 3)
    assert vectors["spearman"] < 0.3


def test_a_plan_costs_what_it_does_not_spare():
    assert list(found()) == [RUN, "vectors"]
    assert [plan["seconds"] for plan in found().values()] == [66.0, 16.0]
    assert found()[RUN]["methods"] == ["label_quality", "influence"]


def test_nothing_is_said_of_wrong_labels_where_none_were_planted():
    assert [plan["wrong"] for plan in found(flipped=False).values()] == [None, None]
