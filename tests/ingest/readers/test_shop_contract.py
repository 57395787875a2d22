"""What holds for every reader of shops, reviews and ads."""

import gzip

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.readers import lines, records, sources
from assay.components.ingest.readers.known import READERS, claim
from assay.components.ingest.readers.sources import Source, expand
from assay.components.ingest.tables import SCHEMAS, logged_rows

from tests.ingest.readers.published_shop import FILES
from tests.ingest.readers.reading import read


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_becomes_canonical_tables(tmp_path, name):
    paths = FILES[name](tmp_path)
    tables, ledger, claims = read(*paths)
    assert {one.reader.name for one in claims} == {name.split("/")[0]}
    assert all(one.why for one in claims)
    assert tables or name == "retailrocket_tree"
    for table, frame in tables.items():
        schema = {n: pl.DataFrame(schema={n: d}).schema[n] for n, d in SCHEMAS[table].items()}
        assert {n: d for n, d in frame.schema.items() if n in schema} == schema
        assert set(frame["source"]) <= {path.name for path in paths}
        assert frame["row"].null_count() == 0
        assert frame["row"].min() >= 1
    assert ledger.rows_in == logged_rows(tables) + sum(ledger.dropped.values())
    assert ledger.repaired == {}


@pytest.mark.parametrize("name", FILES)
def test_no_other_reader_claims_it(tmp_path, name):
    """So that the order in the table does not matter; but four cells with a number last are qrels as well."""
    [source] = expand([str(path) for path in FILES[name](tmp_path)])
    claims = [reader.name for reader in READERS.values() if reader.claims(source)]
    assert claims[0] == name.split("/")[0]
    assert claims[1:] in ([], ["trec_qrels"])


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_in_the_middle_of_a_record_is_refused(tmp_path, name):
    [path] = FILES[name](tmp_path)
    packed = path.read_bytes()[:2] == b"\x1f\x8b"
    data = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    # Within the last record, before its last mark: what is left cannot be taken for a whole one.
    mark = max(data.rstrip().rfind(mark) for mark in (b",", b"\t", b"::", b"|" if b"|01-" in data else b"\t"))
    cut = data[:mark] if path.suffix != ".parquet" else data[: len(data) // 2]
    path.write_bytes(gzip.compress(cut) if packed else cut)
    with pytest.raises(BadInput, match=r"line \d+|row \d+|the last row|parquet") as refused:
        read(path)
    assert path.name in str(refused.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_read_or_refused(tmp_path, name):
    """Within its last cell no file shows that it was cut; wherever else, it is refused, and by its name."""
    [path] = FILES[name](tmp_path)
    data = path.read_bytes()
    for part in range(1, 10):
        path.write_bytes(data[: len(data) * part // 10])
        try:
            tables, ledger, _ = read(path)
        except BadInput as error:
            assert path.name in str(error)  # noqa: PT017 - either is right
        else:
            assert ledger.rows_in == logged_rows(tables) + sum(ledger.dropped.values())


@pytest.mark.parametrize("name", ["amazon_reviews/2018", "avazu", "criteo_uplift"])
def test_a_compressed_file_that_ends_early_is_refused(tmp_path, name):
    [path] = FILES[name](tmp_path)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(BadInput, match=path.name):
        read(path)


@pytest.mark.parametrize("name", FILES)
def test_the_size_of_a_chunk_changes_no_row(tmp_path, monkeypatch, name):
    paths = FILES[name](tmp_path)
    whole, ledger, _ = read(*paths)
    monkeypatch.setattr(records, "CHARACTERS", 1)
    monkeypatch.setattr(lines, "BYTES", 64)
    monkeypatch.setattr(sources, "ROWS", 1)
    parts, again, _ = read(*paths)
    assert {table: frame.to_dicts() for table, frame in parts.items()} == {
        table: frame.to_dicts() for table, frame in whole.items()
    }
    assert again == ledger


def test_a_house_file_is_claimed_by_none(tmp_path):
    """Columns that many files have tell no format."""
    heads = ["query,label,review", "user_id,item_id,split,position,query", "label,text", "event,item,user"]
    heads += ["timestamp,item_id,click,position", "id,title,price", "userId,movieId,rating"]
    for number, head in enumerate(heads):
        (tmp_path / f"{number}.csv").write_text(f"{head}\n{','.join('1' for _ in head.split(','))}\n")
        assert claim(Source(str(tmp_path / f"{number}.csv"))) is None, head
