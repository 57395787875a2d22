import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.select.decisions import soft_weights, treat
from assay.components.select.rules import Rules


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"noisy": "burn"}, "rules: noisy 'burn': write one of drop, relabel, downweight, keep"),
        ({"group": "some"}, "rules: group 'some': write one of rows, whole"),
        ({"explore": 1.5}, r"rules: explore 1.5: write a number in \[0, 1\]"),
        ({"explore": -0.1}, "rules: explore -0.1"),
        ({"floor": 1.5}, "rules: floor 1.5: write a share"),
        ({"floor": -1}, "rules: floor -1"),
        ({"least": -1}, "rules: least -1"),
        ({"seconds_per_row": float("nan")}, "rules: seconds_per_row nan"),
        ({"constraints": ["no"]}, "constraint 'no': write ATTRIBUTE"),
        ({"attributes": "x.csv"}, "attributes are there for constraints"),
        (
            {"group": "whole", "floor": 0.1, "explore": 0.1},
            "and floor, explore would take some of their rows",
        ),
        ({"colour": 1}, "rules: no setting colour; there are noisy, soft"),
    ],
)
def test_rules_that_cannot_be(given, wrong):
    with pytest.raises(BadInput, match=wrong):
        Rules.of(given)


def test_rules_come_as_a_pipeline_hands_them_over():
    found = Rules.of({"floor": 5.0, "constraints": ["user <= 1%"], "soft": True, "coverage": ""})
    assert found == Rules(floor=5, constraints=("user <= 1%",), soft=True)


ROWS = pd.DataFrame(
    {
        "label": np.array([1, 0, 1, 0], dtype=np.float32),
        "importance": [0.9, 0.1, 0.2, 0.5],
        "noise": [0.1, 0.9, 0.7, 1.0],
        "decision": pd.Categorical(["keep", "relabel", "drop", "relabel"]),
        "suggested_label": [np.nan, 1.0, 0.0, np.nan],
    }
)


@pytest.mark.parametrize(
    ("noisy", "label", "weight", "worth", "plausible", "decision"),
    [
        ("drop", [1, 0, 1, 0], [1, 1, 1, 1], [0.9, 0.1, 0.2, 0.5], [1, 0, 0, 0], "keep relabel drop relabel"),
        ("keep", [1, 0, 1, 0], [1, 1, 1, 1], [0.9, 0.1, 0.2, 0.5], [1, 1, 1, 1], "keep keep keep keep"),
        (
            "relabel", [1, 1, 1, 0], [1, 1, 1, 1], [0.9, 0.9, 0.2, 0.5], [1, 1, 0, 0],
            "keep relabel drop relabel",
        ),
        (
            "downweight", [1, 0, 1, 0], [1, 0.1, 0.3, 0.001], [0.9, 0.1, 0.2, 0.5], [1, 1, 1, 1],
            "keep downweight downweight downweight",
        ),
    ],
)  # fmt: skip
def test_what_is_done_with_rows_that_look_mislabelled(noisy, label, weight, worth, plausible, decision):
    found = treat(ROWS, noisy)
    assert found["label"].tolist() == label
    assert found["weight"].tolist() == pytest.approx(weight)
    assert found["worth"].tolist() == pytest.approx(worth)
    assert found["plausible"].tolist() == list(map(bool, plausible))
    assert found["decision"].tolist() == decision.split()
    changed = {"relabel": ["", "relabelled", "", ""], "downweight": ["", *["downweighted"] * 3]}
    assert found["treated"].tolist() == changed.get(noisy, [""] * 4)


def test_soft_weights_are_in_proportion_to_importance_and_one_on_average():
    found = soft_weights(np.array([0.2, 0.4, 0.6]))
    assert found.tolist() == pytest.approx([0.5, 1, 1.5])
    assert soft_weights(np.zeros(3)).tolist() == [1, 1, 1]
