"""Open Bandit: a column without a name, propensities by two names, items numbered anew in each campaign."""

import os
from pathlib import Path

import pytest
from assay.components.core.errors import BadInput

from tests.ingest.readers.published_shop import BANDIT, FILES
from tests.ingest.readers.reading import filled, read


def test_impressions_and_items_of_a_campaign(tmp_path):
    tables, _, _ = read(*FILES["open_bandit"](tmp_path), *FILES["open_bandit_items"](tmp_path))
    assert filled(tables["impressions"])[1] == {
        "row": 2, "impression_id": "random/men/1", "context": "men", "policy": "random", "item_id": "men/0",
        "position": 3,
        "clicked": 1.0, "propensity": pytest.approx(1 / 34), "timestamp": "2019-11-24T00:00:19.715857Z",
        "attribute.user_feature_0": "4ae385d792f81dde", "attribute.user_feature_1": "4e7a8c",
        "attribute.user_feature_2": "0c6a", "attribute.user_feature_3": "9b2d",
        "feature.affinity_shown_item": 2.0, "feature.affinity_sum": 2.0,
    }  # fmt: skip
    assert tables["impressions"]["feature.affinity_shown_item"].to_list() == [4.0, 2.0]
    assert tables["impressions"]["feature.affinity_sum"].to_list() == [5.0, 2.0]
    assert filled(tables["items"])[0] == {
        "row": 1, "item_id": "men/0", "feature.item_feature_0": pytest.approx(-0.6771831),
        "text": "item_feature_1 ceca2003, item_feature_2 eb6f942c, item_feature_3 79509155",
    }  # fmt: skip


def test_the_other_name_of_the_propensity_and_folders_that_say_nothing(tmp_path):
    (tmp_path / "log.csv").write_text(BANDIT.replace("propensity_score", "action_prob"))
    tables, _, _ = read(tmp_path / "log.csv")
    assert tables["impressions"]["propensity"].to_list() == [pytest.approx(1 / 34)] * 2
    assert tables["impressions"].select("context", "policy", "item_id").rows()[0] == (None, None, "2")


def test_an_item_without_an_affinity_is_of_another_campaign(tmp_path):
    (tmp_path / "men.csv").write_text(BANDIT + BANDIT.splitlines()[-1].replace(",0,3,1,", ",41,3,1,") + "\n")
    with pytest.raises(BadInput, match=r"men\.csv, row 3: item '41' has no column user-item_affinity_"):
        read(tmp_path / "men.csv")


def test_a_row_cut_in_the_middle_is_refused(tmp_path):
    (tmp_path / "men.csv").write_text(BANDIT[:-9])
    with pytest.raises(BadInput, match=r"men\.csv, row 2: 11 cells where there are 13 names"):
        read(tmp_path / "men.csv")


@pytest.mark.realdata
def test_the_real_log():
    if not os.environ.get("ASSAY_DATA"):
        pytest.skip("ASSAY_DATA names no data folder")
    folder = Path(os.environ["ASSAY_DATA"]) / "ads_open_bandit"
    tables, ledger, _ = read(folder / "impressions.parquet", folder / "items.parquet")
    shown = tables["impressions"]
    assert (len(shown), ledger.rows_in, shown["clicked"].sum()) == (40_000, 40_000, 207)
    assert shown.group_by("context", "policy").len()["len"].to_list() == [10_000] * 4
    assert set(shown["item_id"]) <= set(tables["items"]["item_id"])
    assert shown.filter(shown["policy"] == "random").select("context", "propensity").n_unique() == 2
