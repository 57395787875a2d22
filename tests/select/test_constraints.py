import itertools

import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.select import feasible
from assay.components.select.constraints import parse_constraint, read_attributes
from assay.components.select.rules import Rules
from assay.components.select.shares import by_constraints
from assay.components.select.strata import places
from hypothesis import given, settings
from hypothesis import strategies as st


def table(n=100, seed=0):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "task": "search",
            "label": (np.arange(n) % 4 == 0).astype(np.float32),
            "segment": rng.choice(["head", "tail"], n, p=[0.8, 0.2]),
            "group_id": [f"u{i}" for i in rng.integers(0, 8, n)],
            "item_id": [f"i{i % 10}" for i in range(n)],
            "source": "t",
        }
    )
    return rows, rng.random(n).round(3)


def taken(rows, worth, count, lines, some=None, attributes=None, **rules):
    some = np.arange(len(rows)) if some is None else some
    rules = Rules(constraints=tuple(lines), **rules)
    shares = by_constraints(rows, some, worth[some], count, rules, attributes)
    inside = places(shares.code, worth[some]) <= shares.quota[shares.code]
    assert inside.sum() == count
    return rows.iloc[some[inside]], shares


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("category", "write ATTRIBUTE"),
        ("category > 5%", "write ATTRIBUTE"),
        ("category >= 5", "write ATTRIBUTE"),
        ("category >= five%", "write ATTRIBUTE"),
        ("category >= 120%", "more than 100 %"),
        ("category >= 2.5 rows", "rows are whole"),
        (">= 5%", "write ATTRIBUTE"),
    ],
)
def test_lines_that_are_none(line, wrong):
    with pytest.raises(BadInput, match=f"constraint '{line}': {wrong}"):
        Rules(constraints=(line,))


def test_a_line_is_read_and_its_share_is_rounded_to_the_safe_side():
    found = parse_constraint(" segment = shoes, men's<=2.5% ")
    assert (found.name, found.value, found.least) == ("segment", "shoes, men's", False)
    assert found.rows(100) == 2
    assert parse_constraint("segment >= 2.5%").rows(100) == 3
    # 0.1 is no binary fraction: 0.1 x 30 % must not become 4 of 30.
    assert parse_constraint("segment >= 10%").rows(30) == 3
    assert parse_constraint("user<=7rows").rows(30) == 7


def test_what_is_demanded_holds_and_the_rest_is_by_importance():
    rows, worth = table()
    lines = ["segment=tail >= 40%", "user <= 15%"]
    chosen, shares = taken(rows, worth, 30, lines)
    assert (chosen["segment"] == "tail").sum() >= 12
    assert chosen.groupby("group_id").size().max() <= 4
    # Quotas by label hold beside them.
    assert chosen["label"].sum() == 7
    assert shares.facts["constraints"]["gap"] < 1e-9
    assert shares.facts["constraints"]["quotas"] == ["task", "label"]


def test_who_names_the_label_decides_on_labels():
    rows, worth = table()
    chosen, shares = taken(rows, worth, 30, ["label=1 >= 70%"])
    assert chosen["label"].sum() == 21
    assert shares.facts["constraints"]["quotas"] == []


def test_quotas_that_the_constraints_do_not_allow_are_let_go_and_it_is_said(capsys):
    rows, worth = table()
    rows["segment"] = np.where(rows["label"] == 1, "a", "b")
    chosen, shares = taken(rows, worth, 30, ["segment=a >= 60%"])
    assert chosen["label"].sum() == 18
    assert shares.facts["constraints"]["quotas_let_go"] == ["task", "label"]
    assert "quotas by task, label: they are let go" in capsys.readouterr().err


def test_floors_are_held_beside_constraints():
    rows, worth = table()
    worth = np.where(rows["segment"] == "tail", worth / 10, worth)
    tail = (rows["segment"] == "tail").sum()
    assert (taken(rows, worth, 30, ["user <= 20%"])[0]["segment"] == "tail").sum() < 5
    chosen, _ = taken(rows, worth, 30, ["user <= 20%"], floor=0.25)
    assert (chosen["segment"] == "tail").sum() == np.ceil(0.25 * tail)


def test_attributes_of_a_file(tmp_path):
    rows, worth = table()
    file = tmp_path / "brands.csv"
    file.write_text("item_id,brand\n" + "".join(f"i{i},{'own' if i < 2 else 'other'}\n" for i in range(9)))
    chosen, _ = taken(rows, worth, 30, ["brand=own >= 50%"], attributes=read_attributes(str(file)))
    assert chosen["item_id"].isin(["i0", "i1"]).sum() == 15
    with pytest.raises(BadInput, match="no attribute size; there are segment, .* brand"):
        taken(rows, worth, 30, ["size >= 1%"], attributes=read_attributes(str(file)))
    with pytest.raises(BadInput, match="no training row has that value; there are own, other"):
        taken(rows, worth, 30, ["brand=none >= 1%"], attributes=read_attributes(str(file)))
    file.write_text("item_id,brand\ni1,a\ni1,b\n")
    with pytest.raises(BadInput, match="item_id 'i1' is there twice"):
        read_attributes(str(file))
    file.write_text("brand,item_id\na,i1\n")
    with pytest.raises(BadInput, match="the first column is 'brand'"):
        read_attributes(str(file))
    with pytest.raises(BadInput, match="cannot be read"):
        read_attributes(str(tmp_path / "none.csv"))


def test_a_conflict_names_a_minimal_set_and_by_how_much_it_misses():
    rows, worth = table()
    tail = int((rows["segment"] == "tail").sum())
    with pytest.raises(BadInput) as caught:
        taken(rows, worth, 40, ["user >= 1 rows", "segment=head <= 20%", "item <= 50%"])
    assert str(caught.value) == (
        f"constraints: 'segment=head <= 20%' cannot hold in 40 rows; at best they miss by {32 - tail} rows: "
        f"segment=head by {32 - tail} (asked: 8 at most; may be chosen: {100 - tail}); loosen it, or change "
        "the budget"
    )
    with pytest.raises(
        BadInput, match="'segment=head >= 70%' and 'segment=tail >= 40%' cannot hold together"
    ):
        taken(rows, worth, 20, ["segment=head >= 70%", "user <= 90%", "segment=tail >= 40%"])


LINES = [
    *("segment=head <= 40%", "segment=tail >= 30%", "label=1 >= 50%"),
    *("user <= 2 rows", "user <= 25%", "item >= 1 rows"),
]


def met(rows, line, count):
    one = parse_constraint(line)
    column = rows[{"user": "group_id", "item": "item_id"}.get(one.name, one.name)]
    return one, column, one.rows(count)


def best_by_trying(rows, worth, count, lines):
    best = None
    for some in itertools.combinations(range(len(rows)), count):
        chosen = rows.iloc[list(some)]
        for line in lines:
            one, _, bound = met(rows, line, count)
            column = met(chosen, line, count)[1]
            values = set(met(rows, line, count)[1]) if one.value is None else {
                float(one.value) if one.name == "label" else one.value
            }  # fmt: skip
            many = [(column == value).sum() for value in values]
            if any(n < bound if one.least else n > bound for n in many):
                break
        else:
            best = max(best or 0.0, float(worth[list(some)].sum()))
    return best


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 5),
    st.lists(st.sampled_from(LINES), min_size=1, max_size=3, unique=True),
)
def test_the_answer_is_the_best_of_all_there_are_and_a_refusal_is_right(seed, count, lines):
    rows, worth = table(9, seed)
    rows["group_id"] = rows["group_id"].str.replace(r"[4-7]", "0", regex=True)
    rows["item_id"] = np.where(np.arange(9) < 5, "x", "y")
    # A line about labels lets their quotas go, so that nothing else is asked.
    lines = list(dict.fromkeys(["label=1 <= 100%", *lines]))
    rows.loc[0, "label"], rows.loc[:1, "segment"] = 1.0, ["head", "tail"]
    best = best_by_trying(rows, worth, count, lines)
    if best is None:
        with pytest.raises(BadInput, match="cannot hold"):
            taken(rows, worth, count, lines)
        return
    chosen, shares = taken(rows, worth, count, lines)
    assert worth[chosen.index].sum() == pytest.approx(best, abs=1e-9)
    assert shares.facts["constraints"]["gap"] <= 0.2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.sampled_from(LINES), min_size=2, max_size=5, unique=True))
def test_of_a_conflict_every_line_can_be_let_go(seed, lines):
    rows, worth = table(40, seed)
    try:
        taken(rows, worth, 20, lines)
    except BadInput as error:
        named = [line for line in lines if repr(line) in str(error)]
        assert named
        with pytest.raises(BadInput):
            taken(rows, worth, 20, named)
        for line in named:
            rest = [other for other in named if other != line]
            if rest:
                taken(rows, worth, 20, rest)


def test_of_many_rows_the_answer_is_exact_too():
    """Cells of thousands of rows are cut into pieces; the bound says that nothing was lost by it."""
    rows, worth = table(20_000)
    rng = np.random.default_rng(1)
    rows["group_id"] = [f"u{i}" for i in rng.integers(0, 40, len(rows))]
    lines = ["segment=tail >= 35%", "user <= 3%", "item >= 9%", "label=1 >= 40%"]
    chosen, shares = taken(rows, worth, 6000, lines)
    assert (chosen["segment"] == "tail").mean() >= 0.35
    assert chosen.groupby("group_id").size().max() <= 180
    assert chosen.groupby("item_id").size().min() >= 540
    assert chosen["label"].mean() >= 0.4
    assert shares.facts["constraints"]["gap"] < 1e-6


def test_pieces_end_as_single_rows_around_the_answer():
    cut = feasible._cut(100_000, feasible.PIECES)
    for _ in range(40):
        cut = feasible._finer(cut, 41_234.5)
    assert {41_233, 41_234, 41_235, 41_236} <= set(cut.tolist())
    assert len(cut) < 40 + feasible.PIECES
