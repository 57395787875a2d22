"""Files as readers see them: kinds, compression, chunks, and what is said of a file that was cut."""

import gzip
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.readers.sources import Source, expand

ROWS = [{"a": str(i), "b": f'x, "{i}"\ny'} for i in range(5)]


def written(folder, ending):
    file = folder / f"log{ending}"
    frame = pl.DataFrame(ROWS)
    if ending.startswith(".parquet"):
        frame.write_parquet(file)
        return file
    tab = "\t" if ".tsv" in ending else ","
    text = frame.write_csv(separator=tab) if "json" not in ending else "\n".join(map(json.dumps, ROWS)) + "\n"
    data = text.encode()
    if ending.endswith(".gz"):
        data = gzip.compress(data)
    if ending.endswith(".zst"):
        data = pa.compress(data, codec="zstd", asbytes=True)
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".csv.zst", ".parquet"])
def test_the_same_rows_whatever_the_file(tmp_path, ending):
    source = Source(str(written(tmp_path, ending)))
    assert (source.columns, source.has("a", "b"), source.has("c")) == (["a", "b"], True, False)
    frame = pl.concat(source.chunks())
    assert frame["row"].to_list() == [1, 2, 3, 4, 5]
    assert frame.drop("row").to_dicts() == ROWS


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson.gz"])
def test_objects_have_the_number_of_their_line(tmp_path, ending):
    source = Source(str(written(tmp_path, ending)))
    assert source.columns == ["a", "b"]
    assert [number for number, _ in source.objects()] == [1, 2, 3, 4, 5]
    assert [row for _, row in source.objects()] == ROWS


def test_a_compressed_file_is_known_by_its_bytes(tmp_path):
    (tmp_path / "log.csv").write_bytes(gzip.compress(b"a;b\n1;2\n"))
    source = Source(str(tmp_path / "log.csv"))
    assert (source.columns, source.delimiter) == (["a", "b"], ";")
    assert pl.concat(source.chunks())["b"].to_list() == ["2"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cut.csv", b"a,b\n1,2\n3", "row 2: 1 cells where there are 2 names: the file was cut"),
        ("cut.csv.gz", gzip.compress(b"a,b\n" + b"1,234567\n" * 9999)[:-40], "ends early"),
        ("quotes.csv", b'a,b\n1,"x ""y""\n3,4', "last row: .*ends with none: the file was cut"),
        ("cut.jsonl", b'{"a": 1}\n{"a": 2', "line 2: not JSON"),
        ("cut.jsonl.gz", gzip.compress(b'{"a": 1234567}\n' * 9999)[:-40], "ends early, after line"),
        ("cut.parquet", b"PAR1" + bytes(40), "not a readable parquet file"),
        ("latin.csv", "a,b\n1,stra\xdfe\n".encode("latin1"), "UTF-?8"),
        ("empty.csv", b"", "the file is empty"),
        ("header.csv", b"a,b\n", "no rows"),
        ("twice.csv", b"a,a\n1,2\n", "two columns are called 'a'"),
        ("list.jsonl", b"[1]\n", "line 1: expected an object, found list"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    source = Source(str(tmp_path / name))
    with pytest.raises(BadInput, match=words) as refused:
        list(source.objects() if source.kind == "jsonl" else source.chunks())
    assert name in str(refused.value)


def test_lines_before_one_that_is_not_utf_8_are_read(tmp_path):
    """What claims a file looks at the first alone."""
    (tmp_path / "movies.dat").write_bytes("\ufeffa\r\n\nb\n".encode() + b"\xe9\nc\n")
    source = Source(str(tmp_path / "movies.dat"))
    seen = []
    with pytest.raises(BadInput, match=r"movies.dat, line 4: not UTF-8 \(byte 0xe9\)"):
        seen.extend(line for line in source.lines() if seen.append(line))
    assert seen == [(1, "a"), (3, "b")]


@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_lines_whatever_the_size_of_a_block(tmp_path, monkeypatch, size):
    (tmp_path / "a.txt").write_text("\ufeffé\r\n\n \nbb\nc", newline="")
    blocks = list(Source(str(tmp_path / "a.txt")).blocks(size))
    numbered = [(n, line) for first, lines in blocks for n, line in enumerate(lines, first)]
    assert numbered == [(1, "é"), (2, ""), (3, " "), (4, "bb"), (5, "c")]


def test_columns_of_every_kind_of_file(tmp_path):
    for name, text in {
        "no_ending": "a;b\n1;2\n",
        "lines.jsonl": '{"a": 1}\n{"b": 2}\n',
        "list.json": '[{"a": 1}, {"b": 2}]',
        "held.json": '{"n": 2, "rows": [{"a": 1, "b": 2}]}',
        "one.json": '{"a": [1], "b": {"c": 2}}',
    }.items():
        (tmp_path / name).write_text(text)
        assert Source(str(tmp_path / name)).columns == ["a", "b"], name
    (tmp_path / "5.json").write_text("5")
    with pytest.raises(BadInput, match="expected a list of objects, found int"):
        list(Source(str(tmp_path / "5.json")).objects())
    (tmp_path / "long.csv").write_text('"' + "a" * 200_000 + '"\n1\n')
    with pytest.raises(BadInput, match="long.csv: the first line is no header"):
        _ = Source(str(tmp_path / "long.csv")).columns


def test_quotes_at_the_end_are_no_sign_of_a_cut(tmp_path):
    for end in ('"x ""y"""', '","', '""', '"a,"', '5"', '"x"\n'):
        (tmp_path / "log.csv").write_text(f"a,b\n1,{end}")
        assert len(next(Source(str(tmp_path / "log.csv")).chunks())) == 1


def test_a_json_of_an_object_a_line_is_a_jsonl(tmp_path):
    (tmp_path / "lines.json").write_text('{"a": 1}\n{"a": 2}\n')
    (tmp_path / "list.json").write_text('[{"a": 1},\n{"a": 2}]\n')
    (tmp_path / "one.json").write_text('{"a":\n1}\n')
    kinds = [source.kind for source in expand([str(tmp_path)])]
    assert kinds == ["jsonl", "json", "json"]


def test_names_folders_and_globs_stand_for_files(tmp_path):
    for name in ("b.csv", "a.csv", "c.tsv", ".hidden"):
        (tmp_path / name).write_text("x\n1\n")
    names = lambda *paths: [source.name for source in expand([str(path) for path in paths])]  # noqa: E731
    assert names(tmp_path) == ["a.csv", "b.csv", "c.tsv"]
    assert names(tmp_path / "*.csv", tmp_path / "a.csv") == ["a.csv", "b.csv"]
    assert names(f"file://{tmp_path}/c.tsv") == ["c.tsv"]
    with pytest.raises(BadInput, match="no such file"):
        names(tmp_path / "none*.csv")


def test_chunks_are_bounded(tmp_path):
    table = pa.table({"a": pa.array(range(450_000))})
    pq.write_table(table, tmp_path / "big.parquet")
    sizes = [len(chunk) for chunk in Source(str(tmp_path / "big.parquet")).chunks()]
    assert sum(sizes) == 450_000
    assert max(sizes) <= 200_000
