"""What a row is told of itself."""

import dataclasses

import numpy as np
import pandas as pd
from assay.components.score.explain import SHOWN, explain, witnesses


def test_witnesses_are_the_most_alike_target_rows_of_the_kind_asked_for(planted):
    inputs, _ = planted
    asked = np.arange(len(inputs.samples)) % 3 == 0
    found = witnesses(inputs, asked)
    unit = [f / np.linalg.norm(f, axis=1, keepdims=True) for f in (inputs.features, inputs.target_features)]
    alike = unit[0] @ unit[1].T
    for row in (0, 1, 2, 50, 99):
        allowed = np.flatnonzero(inputs.target_relevant == asked[row])
        assert found[row].tolist() == allowed[np.argsort(-alike[row, allowed])][:2].tolist()


def test_a_line_names_the_deciding_method_and_the_witnesses(planted):
    inputs, _ = planted
    n = len(inputs.samples)
    combined = pd.DataFrame(
        {"rank_label_quality": np.linspace(0, 1, n), "rank_loss": 0.5, "importance": 0.25, "noise": 0.93}
    )
    wrong = np.arange(n) == 0
    lines = explain(inputs, combined, wrong, np.where(wrong, 0.5, np.nan))
    assert lines[0].startswith(
        "label looks wrong (probability 0.93, rather 0.5): rows like it carry another label; against it: “"
    )
    assert lines[-1].startswith("importance 0.25, most by label_quality, least by loss; for it: “")
    [first] = witnesses(inputs, ~inputs.relevant)[:1]
    seen = inputs.target.iloc[first[0]]
    assert f"{seen['context']} | {seen['item']}"[: SHOWN - 1] in lines[0]


def test_a_target_of_one_kind_has_no_opponents(planted):
    inputs, _ = planted
    ones = inputs.target.assign(label=1.0, grade=1.0)
    known = dataclasses.replace(inputs, target=ones)
    combined = pd.DataFrame({"rank_loss": [0.5] * len(inputs.samples), "importance": 0.5, "noise": 0.9})
    lines = explain(known, combined, inputs.relevant)
    assert not any("against it" in line for line in lines)
    assert any("for it" not in line for line in lines)
