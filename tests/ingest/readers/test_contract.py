"""Every reader through the same checks, on files in their published layouts."""

import importlib
import pkgutil

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.known import READERS, claimed, gathered
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.tables import SCHEMAS, canonical, logged_rows

from tests.ingest import readers
from tests.ingest.readers.published import FILES, cut


def test_every_reader_has_a_published_file():
    """In this module's table, or in that of a neighbour, where a format may have several: `name/variant`."""
    modules = [name for _, name, _ in pkgutil.iter_modules(readers.__path__) if name.startswith("published")]
    tables = [importlib.import_module(f"{readers.__name__}.{name}").FILES for name in modules]
    assert {name.partition("/")[0] for table in tables for name in table} == set(READERS)


@pytest.mark.parametrize("name", FILES)
def test_the_reader_and_no_other_before_it_claims_the_files(name, tmp_path):
    for file in FILES[name](tmp_path):
        claims = {other: READERS[other].claims(Source(str(file))) for other in READERS}
        why = claims[name]
        assert isinstance(why, str), file.name
        assert why, file.name
        before = list(READERS)[: list(READERS).index(name)]
        assert [other for other in before if claims[other]] == [], file.name


@pytest.mark.parametrize("name", FILES)
def test_tables_are_canonical_and_every_row_says_where_it_is_from(name, tmp_path):
    for file in FILES[name](tmp_path):
        read = list(READERS[name].read(Source(str(file)), Ledger()))
        assert sum(len(frame) for _, frame in read) > 0
        for table, frame in read:
            whole = canonical(table, frame)
            assert set(SCHEMAS[table]) <= set(whole.columns)
            assert whole["source"].unique().to_list() == [file.name]
            assert whole["row"].null_count() == 0
            assert whole["row"].min() >= 1
            assert whole["query_id" if table == "queries" else "item_id"].null_count() == 0


@pytest.mark.parametrize("name", FILES)
def test_rows_in_are_the_logged_rows(name, tmp_path):
    ledger = Ledger()
    files = FILES[name](tmp_path)
    tables = gathered(claimed([Source(str(file)) for file in files]), ledger)
    assert ledger.dropped == {}
    assert ledger.rows_in == logged_rows(tables) > 0
    assert all(isinstance(frame, pl.DataFrame) for frame in tables.values())


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_within_a_record_is_refused_with_its_place(name, tmp_path):
    for file in FILES[name](tmp_path):
        source = Source(str(cut(file)))
        with pytest.raises(BadInput, match=r"line \d|row \d|not a readable parquet|ends early") as refused:
            gathered(claimed([source]), Ledger())
        assert file.name in str(refused.value)


HOUSE = {
    "pairs.csv": "query,title,grade\na,b,1\n",
    "rated.csv": "query,product_id,product_title,locale,label\na,1,b,us,0.5\n",
    "products.csv": "product_id,product_title,locale,price\n1,b,us,2\n",
    "labels.csv": "id,query_id,product_id,label,price\n1,1,1,2,3\n",
    "texts.jsonl": '{"_id": "1", "text": "good", "stars": 5}\n',
    "clicks.jsonl": '{"event": "click", "item": "1"}\n',
    "notes.tsv": "1\tqueries\n2\tand more\n",
    "numbers.txt": "1 2 3\n",
}


@pytest.mark.parametrize("name", HOUSE)
def test_a_file_of_a_house_of_its_own_is_claimed_by_none(name, tmp_path):
    (tmp_path / name).write_text(HOUSE[name])
    assert [reader for reader in READERS if READERS[reader].claims(Source(str(tmp_path / name)))] == []
