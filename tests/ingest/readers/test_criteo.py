"""Criteo: no header, cells that are empty, outcomes that are no features."""

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import CRITEO, FILES
from tests.ingest.readers.reading import filled, read


def test_numbers_and_hashes(tmp_path):
    tables, _, [claim] = read(*FILES["criteo"](tmp_path))
    assert "no header" in claim.why
    first, second = filled(tables["impressions"])
    assert (first["clicked"], second["clicked"]) == (0.0, 1.0)
    assert (first["feature.I1"], first["feature.I5"], second["feature.I2"]) == (1.0, 1382.0, -1.0)
    assert (first["attribute.C1"], first["attribute.C26"]) == ("00000000", "00000019")
    assert "feature.I12" not in first
    assert "feature.I1" not in second
    assert "attribute.C6" not in first
    assert (first["row"], second["row"]) == (1, 2)


def test_the_last_cell_of_a_row_may_be_empty(tmp_path):
    (tmp_path / "day_0").write_text("\n".join(line[:-8] for line in CRITEO.splitlines()) + "\n")
    tables, _, _ = read(tmp_path / "day_0")
    assert tables["impressions"]["attribute.C26"].null_count() == 2


def test_uplift_keeps_outcomes_out_of_the_features(tmp_path):
    tables, ledger, _ = read(*FILES["criteo_uplift"](tmp_path))
    first, second = filled(tables["impressions"])
    assert (first["policy"], second["policy"]) == ("treatment", "control")
    assert (first["clicked"], second["clicked"]) == (0.0, 1.0)
    assert [name for name in second if name.startswith(("feature.", "attribute."))] == [
        f"feature.f{i}" for i in range(12)
    ]
    assert filled(tables["events"]) == [{"row": 2, "action": "purchase", "session_id": second["session_id"]}]
    assert ledger.rows_in == 3


def test_a_line_cut_in_the_middle_is_refused(tmp_path):
    (tmp_path / "train.txt").write_text(CRITEO * 3 + CRITEO[:50])
    with pytest.raises(BadInput, match=r"train\.txt, row 7: \d+ cells where there are 40 names"):
        read(tmp_path / "train.txt")
