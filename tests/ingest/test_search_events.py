import numpy as np
import pandas as pd
from assay.components.core.samples import relevance
from assay.components.ingest.prepare import IngestConfig, prepare
from assay.examples.store import StoreConfig, simulate, write


def test_the_stores_click_log_becomes_samples(tmp_path):
    store = simulate(StoreConfig(queries=120))
    write(store, tmp_path)
    found = prepare(IngestConfig(str(tmp_path / "search_events.parquet")))
    events = pd.read_parquet(tmp_path / "search_events.parquet")
    ledger, samples = found.facts["ledger"], found.samples
    assert found.facts["label_source"] == "click"
    assert ledger["rows_in"] == len(events)
    twice = events["event_id"].duplicated().sum()
    assert ledger["dropped"]["duplicate_event"] == twice > 0
    assert ledger["dropped"]["missing_query"] > 0
    assert ledger["dropped"]["no_item_text"] > 0
    assert samples["label"].between(0, 1).all()
    assert samples["position"].min() == 1
    assert samples["timestamp"].notna().all()
    # The label is the click rate of the pair, over as many impressions as the weight stands for.
    usable = events.drop_duplicates("event_id").dropna(subset=["query", "title"])
    rate = usable.groupby(["query", "item_id"])["click"].mean()
    keys = list(zip(samples["context"], samples["item_id"], strict=True))
    assert np.allclose(rate.loc[keys], samples["label"])
    assert samples["weight"].between(0.1, 10).all()


def test_noise_can_be_planted_in_clicks_too(tmp_path):
    write(simulate(StoreConfig(queries=120)), tmp_path)
    config = IngestConfig(str(tmp_path / "search_events.parquet"), noise=0.25)
    found = prepare(config)
    train = found.samples[found.samples["split"] == "train"]
    truth = found.truth.set_index("sample_id").loc[train["sample_id"]]
    flipped = truth["flipped"].to_numpy()
    assert np.array_equal(relevance(train)[flipped] > 0, ~(truth["relevance"][flipped] > 0))
