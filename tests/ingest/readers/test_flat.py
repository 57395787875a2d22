import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.flat import flat_tables, read_log


def flat(frame, columns, table, ledger=None):
    return flat_tables(pd.DataFrame(frame), parse_columns(columns), table, "log.csv", ledger or Ledger())[0]


def test_events_by_usual_names_and_actions_by_theirs():
    ledger = Ledger()
    found = flat(
        {
            "user_id": [1, 1, 2], "item_id": [7.0, 8.0, 7.0], "title": ["Red shoe", "Lamp", "Red shoe"],
            "event": ["addtocart", "View", "stare"], 
            "timestamp": ["2026-01-01T00:00:00Z", None, "2026-01-02"],
        },
        "", "events", ledger,
    )  # fmt: skip
    events, items = found["events"], found["items"]
    assert events["user_id"].to_list() == ["1", "1", "2"]
    assert events["item_id"].to_list() == ["7", "8", "7"]
    assert events["action"].to_list() == ["cart", "view", "other"]
    assert events["row"].to_list() == [1, 2, 3]
    assert items.select("item_id", "text").rows() == [("7", "Red shoe"), ("8", "Lamp")]
    assert (ledger.rows_in, ledger.noted) == (3, {"unknown_action": 1})


def test_a_column_may_give_the_order_where_there_is_no_time():
    frame = {"user": ["u"] * 3, "item_id": ["a", "b", "c"], "place": [3, 1, 2]}
    events = flat(frame, "order=place", "events")["events"]
    assert events["item_id"].to_list() == ["b", "c", "a"]
    assert events["row"].to_list() == [1, 2, 3]


def test_what_an_ad_is_shown_for_is_written_out():
    frame = {
        "place": ["banner", "feed"],
        "device": ["phone", None],
        "title": ["A", "B"],
        "click": [1, "x"],
        "bid": ["0.5", None],
    }
    found = flat(frame, "query=place+device,feature=bid", "impressions")
    shown = found["impressions"]
    assert shown["context"].to_list() == ["place banner, device phone", "place feed"]
    assert shown["clicked"].to_list() == [1.0, None]
    assert shown["feature.bid"].to_list() == [0.5, None]
    assert found["items"]["text"].to_list() == ["A", "B"]


def test_the_title_of_a_product_is_not_the_reviews():
    frame = {"item_id": ["p"], "title": ["Red shoe"], "text": ["broke"], "rating": [1]}
    found = flat(frame, "query=title", "reviews")
    assert found["reviews"]["title"].to_list() == [None]
    assert found["items"]["text"].to_list() == ["Red shoe"]
    assert flat(frame, "", "reviews")["reviews"]["title"].to_list() == ["Red shoe"]


def test_a_folder_joins_its_items_on_what_both_have(tmp_path):
    pd.DataFrame({"shop": ["n", "s"], "item_id": [1, 1], "user_id": ["u", "v"]}).to_csv(
        tmp_path / "log.csv", index=False
    )
    items = pd.DataFrame({"shop": ["n", "s"], "item_id": [1, 1], "title": ["North", "South"]})
    items.to_parquet(tmp_path / "items.parquet")
    (tmp_path / "README.md").write_text("no table")
    chunks, name = read_log(tmp_path)
    assert (pd.concat(chunks)["title"].tolist(), name) == (["North", "South"], "log.csv")
    items.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(BadInput, match=r"expected one log, .* found items.parquet, log.csv, other.csv"):
        read_log(tmp_path)


@pytest.mark.parametrize(
    ("columns", "table", "words"),
    [
        ("", "events", "no column for user"),
        ("", "impressions", "no column for query"),
        ("text=nowhere", "reviews", "column 'nowhere' .for text. is not in the file"),
    ],
)
def test_a_role_without_a_column_is_refused(columns, table, words):
    with pytest.raises(BadInput, match=words):
        flat({"item_id": ["a"], "title": ["A"]}, columns, table)
