"""Rules that compare rows by their vectors."""

import numpy as np
import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.manifest import read_manifest
from assay.components.core.vectors import PAIRS, SAMPLE_IDS, TEXTS
from assay.components.select.coverage import COVERAGE
from assay.components.select.rules import Rules
from assay.components.select.select import select

from tests.select.test_select import scored  # noqa: F401


@pytest.fixture
def embedded(scored):  # noqa: F811
    """Vectors of the 200 rows: the first 100 by importance among the plausible lie in 10 heaps."""
    folder, rows = scored
    ids = sorted(rows.index)
    rng = np.random.default_rng(0)
    heaps, alone = rng.normal(size=(10, 16)), rng.normal(size=(len(ids), 16))
    plausible = rows[rows["decision"] == "keep"].sort_values("importance", ascending=False).index
    heap = {sample: number % 10 for number, sample in enumerate(plausible[:100])}
    item = np.asarray(
        [
            heaps[heap[i]] + rng.normal(scale=0.02, size=16) if i in heap else alone[n]
            for n, i in enumerate(ids)
        ]
    )
    texts = np.concatenate([np.ones((1, 16)), item])
    (folder / "vectors").mkdir()
    np.save(
        folder / "vectors" / TEXTS, (texts / np.linalg.norm(texts, axis=1, keepdims=True)).astype(np.float32)
    )
    pairs = np.column_stack([np.zeros(len(ids), dtype=np.int32), np.arange(1, len(ids) + 1, dtype=np.int32)])
    np.save(folder / "vectors" / PAIRS, pairs)
    pd.DataFrame({"sample_id": ids}).to_parquet(folder / "vectors" / SAMPLE_IDS)
    return folder, rows, heap


def run(embedded, budget="60", vectors=True, **rules):
    folder = embedded[0]
    folders = [str(folder / name) for name in ("samples", "scores", "out")]
    select(*folders, ["challenger"], budget, 0, str(folder / "vectors") if vectors else "", Rules(**rules))
    return pd.read_parquet(folder / "out" / "selection.parquet").set_index("sample_id")


@pytest.mark.parametrize("coverage", [name for name in COVERAGE if name != "top"])
def test_coverage_fills_the_same_quotas_with_other_rows(embedded, coverage):
    plain = run(embedded)
    found = run(embedded, coverage=coverage)
    one, other = (t[t["arm"] == "challenger"] for t in (plain, found))
    assert one["label"].value_counts().to_dict() == other["label"].value_counts().to_dict()
    assert set(one.index) != set(other.index)
    assert (embedded[1].loc[other.index, "decision"] == "keep").all()
    assert set(other["reason"]) == {"covers"}
    assert other["why"].str.contains(f"chosen by {coverage} for being unlike").all()
    left = found[(found["arm"] == "none") & (found["reason"] == "not_covering")]
    assert set(left.index) == set(one.index) - set(other.index)


def test_of_near_duplicates_the_most_important_stays(embedded):
    folder, rows, heap = embedded
    found = run(embedded, "40", duplicates=0.98)
    chosen = found[found["arm"] == "challenger"]
    twins = found[found["reason"] == "near_duplicate"]
    # Ten heaps of two labels each at most, of which one row a label is kept.
    kept = {(heap[i], rows.loc[i, "label"]) for i in heap if i not in twins.index}
    assert len(twins) == 100 - len(kept)
    of_heaps = [(heap[i], rows.loc[i, "label"]) for i in chosen.index if i in heap]
    assert len(of_heaps) == len(set(of_heaps))
    for sample, line in twins["why"].head(5).items():
        twin = line.split(" of ")[1].split(",")[0]
        assert heap[twin] == heap[sample]
        assert rows.loc[twin, "importance"] >= rows.loc[sample, "importance"]
    facts = read_manifest(folder / "out")["facts"]["duplicates"]
    assert (facts["collapsed"], facts["exact"]) == (len(twins), 0)
    assert facts["conflicts"] > 0


def test_a_budget_beyond_the_distinct_rows_takes_duplicates_again(embedded):
    found = run(embedded, "120", duplicates=0.98)
    chosen = found[found["arm"] == "challenger"]
    assert len(chosen) == 120
    assert (chosen["reason"] == "budget_exceeds_distinct_rows").any()
    assert not (chosen["reason"] == "budget_exceeds_plausible_rows").any()


@pytest.mark.parametrize("rules", [{"coverage": "facility"}, {"duplicates": 0.95}])
def test_without_vectors_they_say_what_is_missing(embedded, rules):
    with pytest.raises(BadInput, match="hand over what `embed` wrote"):
        run(embedded, vectors=False, **rules)
