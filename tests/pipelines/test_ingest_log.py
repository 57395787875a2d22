"""Files of a log read side by side under kfp's local runner, and a run that takes over what was ingested."""

import pandas as pd
import pytest
from assay.components.core.errors import BadInput
from assay.components.core.samples import read_samples
from assay.components.ingest.columns import parse_columns
from assay.components.ingest.prepare import IngestConfig, checked, ingest
from assay.examples.store import StoreConfig, simulate
from assay.pipelines.config import RunConfig
from assay.pipelines.ingesting import ingested
from assay.pipelines.local import start_runner
from assay.pipelines.preflight import check

COLUMNS = "query=query,item=title,item_id=item_id,click=click,position=position,timestamp=timestamp"
OUTPUTS = ("samples", "texts", "truth")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The log in one file, in two, and ingested at once."""
    folder = tmp_path_factory.mktemp("log")
    log = simulate(StoreConfig(queries=80, searches_per_query=10)).search_events
    for name, part in (("all", log), ("one", log[:500]), ("two", log[500:])):
        part.to_csv(folder / f"{name}.csv.gz", index=False)
    ingested([str(folder / "all.csv.gz")], RunConfig(columns=COLUMNS), folder / "out")
    return folder


def test_files_are_read_side_by_side_and_make_one_table(whole, tmp_path):
    start_runner(tmp_path)
    from assay.pipelines.ingest_log import ingest_log

    files = [str(whole / f"{name}.csv.gz") for name in ("one", "two")]
    found = ingest_log(files=files, name="log", columns=parse_columns(COLUMNS)).outputs
    table = read_samples(found["samples"].path).drop(columns="source")
    expected = read_samples(whole / "out" / "samples").drop(columns="source")
    pd.testing.assert_frame_equal(table, expected, check_categorical=False)
    texts = pd.read_parquet(found["texts"].path + "/texts.parquet")
    assert texts.equals(pd.read_parquet(whole / "out/texts/texts.parquet"))


def test_what_was_ingested_is_taken_over(whole, tmp_path):
    config = IngestConfig(str(whole / "out"))
    facts = ingest(config, *(str(tmp_path / name) for name in OUTPUTS))
    assert facts == checked(config)
    assert facts["ledger"]["rows_in"] == len(pd.read_csv(whole / "all.csv.gz"))
    for name in OUTPUTS:
        for file in (whole / "out" / name).glob("*.parquet"):
            assert file.read_bytes() == (tmp_path / name / file.name).read_bytes()
    told = check(RunConfig(data=str(whole / "out"))).notes[0]
    assert told.startswith(f"{facts['ledger']['rows_in']} rows read")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"task": "ads"}, "was ingested for --task search, not ads"),
        ({"sample": 100}, "--sample comes too late"),
        ({"noise": 0.2}, "--noise comes too late"),
        ({"columns": {"query": ["query"]}}, "--columns comes too late"),
    ],
)
def test_what_is_decided_at_reading_cannot_be_asked_later(whole, asked, words):
    with pytest.raises(BadInput, match=words):
        checked(IngestConfig(**({"data": str(whole / "out")} | asked)))
