"""What is kept comes back as samples: `assay ingest` reads the folder as it is."""

import asyncio
import time

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from assay.components.core.pseudonyms import KEY, pseudonym
from assay.components.ingest.clicks.estimators import counted, estimated
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.prepare import IngestConfig, ingest, prepare
from assay.components.ingest.search import with_clicks
from assay.serving.feedback.exploration import shown_order
from assay.serving.feedback.log import FeedbackLog
from assay.serving.feedback.records import Event, Served, Shown, new_query_id

from tests.serving.feedback.conftest import ID_KEY, read, shown


async def kept(settings, lists, events) -> FeedbackLog:
    log = FeedbackLog(settings)
    await log.start()
    for one in lists:
        log.served(one)
    for several in events:
        await log.add(several)
    await log.close()
    return log


def test_lists_and_events_become_the_samples_expected(settings, tmp_path, monkeypatch):
    asked = [f"query {n}" for n in range(30)]
    lists = [
        Served(
            new_query_id(), text, "assay-search", "3", shown("a", "b", f"own {n}"), f"user {n % 7}", f"s{n}"
        )
        for n, text in enumerate(asked)
    ]
    events = [
        # The page's clock is an hour slow: the click is not before its list.
        [Event("click", "b", one.query_id, position=2, timestamp=time.time() - 3600, user_id=one.user_id)]
        for one in lists
    ]
    events += [[Event("purchase", "b", lists[0].query_id)], [Event("add_to_cart", "a", lists[1].query_id)]]
    # The page reports what was seen as well: it is not shown twice.
    events += [[Event("impression", "a", one.query_id, position=1) for one in lists]]
    log = asyncio.run(kept(settings(), lists, events))
    assert (log.impressions, log.dropped, log.accepted, log.depth) == (90, 0, 62, 0)

    monkeypatch.delenv(KEY)
    found = prepare(IngestConfig(str(tmp_path / "feedback")))
    assert found.facts["reader"] == "ubi"
    assert found.facts["ledger"]["dropped"] == {"duplicate_event": 30, "joined_to_impression": 32}
    samples = pl.from_pandas(found.samples.drop(columns="features")).sort("context", "item_id")
    assert samples["context"].unique().sort().to_list() == sorted(asked)
    first = samples.filter(context="query 0")
    assert first.select("item_id", "item", "label", "position").rows() == [
        ("a", "text of a", 0.0, 1),
        ("b", "text of b", 1.0, 2),
        ("own 0", "text of own 0", 0.0, 3),
    ]
    assert samples.filter(context="query 1", item_id="a")["label"].to_list() == [1.0]
    assert samples["label"].sum() == 31.0
    assert set(first["user_id"]) == {pseudonym("user 0", ID_KEY.encode())}


def test_a_later_file_adds_to_what_was_read(settings, tmp_path, monkeypatch):
    """`--append`: a segment that is published again, or an event that is sent again, adds nothing."""
    from assay.components.ingest.log_store import LogStore
    from assay.components.ingest.reading import read_new

    lists = [Served(new_query_id(), f"shoe {n}", "assay-search", "1", shown("a", "b")) for n in range(20)]
    clicks = [Event("click", "a", one.query_id) for one in lists]
    asyncio.run(kept(settings(), lists, [clicks]))
    config = IngestConfig(str(tmp_path / "feedback"))
    log = LogStore(tmp_path / "log")
    assert len(read_new(config.data, config.how(), log)) == 1
    assert read_new(config.data, config.how(), log) == []
    # The next process knows nothing of what this one had.
    again = asyncio.run(kept(settings(), [], [clicks[:1], [Event("purchase", "a", lists[0].query_id)]]))
    assert again.duplicates == 0
    assert len(read_new(config.data, config.how(), log)) == 1
    monkeypatch.delenv(KEY)
    folders = [str(tmp_path / name) for name in ("samples", "texts", "truth")]
    facts = ingest(config, *folders, log=log)
    assert facts["ledger"]["dropped"]["duplicate_event"] == 1


def test_no_record_is_other_than_the_schema_has_it(settings, tmp_path):
    """UBI 1.3: required fields, their types and lengths; what it does not name lies in event_attributes."""
    one = Served(new_query_id(), "shoe", "assay-search", "1", shown("a", "b"), "ann", "s1")
    asyncio.run(kept(settings(), [one], [[Event("click", "a", one.query_id, position=1)]]))
    (file,) = (tmp_path / "feedback").iterdir()
    assert pq.read_schema(file).metadata[b"ubi"] == b"1.3.0"
    rows = pq.read_table(file).to_pylist()
    assert [row["action_name"] for row in rows] == ["impression", "impression", "click"]
    for row in rows:
        assert row["timestamp"].endswith("Z")
        assert len(row["query_id"]) == 36
        assert row["event_attributes"]["object"]["object_id"] in ("a", "b")
        assert row["event_attributes"]["position"]["ordinal"] in (1, 2)
    assert rows[0]["event_attributes"]["model"] == "assay-search/1"
    assert [row["event_attributes"]["score"] for row in rows] == [1.0, 0.5, None]
    assert "ann" not in str(rows)
    assert rows[0]["session_id"] == pseudonym("s1", ID_KEY.encode())


def test_people_can_be_left_out(settings, tmp_path):
    one = Served(new_query_id(), "shoe", "assay-search", "1", shown("a"), "ann", "s1")
    asyncio.run(kept(settings(users="drop"), [one], [[Event("click", "a", one.query_id, user_id="ann")]]))
    rows = pq.read_table(tmp_path / "feedback").to_pylist()
    assert {(row["user_id"], row["session_id"]) for row in rows} == {(None, None)}


@pytest.mark.parametrize(
    "text", ['a\nb\r\u2028\x00"\\', "\ud800 half", "n\u00e4\u00efve \U0001f45f", "x" * 5000]
)
def test_any_text_is_one_line(settings, tmp_path, text):
    one = Served(new_query_id(), text, "assay-search", "1", [Shown("a", text, float("nan"))])
    asyncio.run(kept(settings(), [one], [[Event("click", "a", one.query_id)]]))
    rows = pq.read_table(tmp_path / "feedback").to_pylist()
    kept_text = text.replace("\ud800", "?")[:4000]
    assert [row["user_query"] for row in rows] == [kept_text, None]
    assert rows[0]["event_attributes"]["object"]["name"] == kept_text
    assert rows[0]["event_attributes"]["score"] is None


def test_swaps_tell_how_positions_are_looked_at(settings, tmp_path):
    """A shop whose ranker never changes: swaps alone tell its propensities, which are known here."""
    setting = settings(randomise_top=5, randomise_share=1.0, users="drop", queue_events=10**6)
    rng, looked = np.random.default_rng(3), np.array([1.0, 0.7, 0.5, 0.35, 0.25])
    attraction = rng.uniform(0.2, 0.7, (40, 5))
    lists, clicks = [], []
    for n in range(12_000):
        query = n % 40
        name = new_query_id()
        order, chances = shown_order(name, 5, setting)
        items = [Shown(f"{query}-{o}", f"item {o}", 0.0, c) for o, c in zip(order, chances, strict=True)]
        lists.append(Served(name, f"query {query}", "assay-search", "1", items))
        clicked = rng.random(5) < looked * attraction[query][order]
        clicks.append([Event("click", items[place].item_id, name) for place in np.flatnonzero(clicked)])

    async def write():
        log = FeedbackLog(setting)
        await log.start()
        for one in lists:
            log.served(one)
        await asyncio.gather(*(log.add(some) for some in clicks))
        await log.close()

    asyncio.run(write())
    tables, ledger = read(tmp_path / "feedback")
    assert ledger.dropped == {}
    drawn = tables["impressions"]["feature.placement_propensity"]
    assert sorted(set(drawn.round(3))) == [0.25, 0.5, 0.75]
    # It is not the chance of a look, of which the log says nothing.
    assert tables["impressions"]["propensity"].null_count() == 60_000
    impressions = with_clicks(tables, Ledger())
    found = estimated(counted(impressions, "harvesting"), "harvesting")
    assert found.examined == pytest.approx(looked, rel=0.15)
