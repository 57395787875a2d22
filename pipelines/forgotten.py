"""Files without what they must forget: each kind rewritten beside itself and renamed, and looked through."""

from __future__ import annotations

import html
import json
import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from assay.components.core.full_ranking import read_ranking, write_ranking
from assay.components.core.samples import BLOCK, read_samples, shard_files, text_id, write_samples
from assay.components.core.vectors import PAIRS, SAMPLE_IDS, TEXTS

GONE = "erased"
"""What stands in place of a word in a file that is not made of rows."""
LINES = (".jsonl", ".ndjson", ".csv", ".tsv", ".log", ".txt", ".md")
SQLITE = b"SQLite format 3\0"
ROW_IDS = ("query_id", "event_id", "impression_id", "review_id")
WEIGHTS = (".npy", ".safetensors", ".bin", ".pt")
VOCABULARY = ("tokenizer.json", "vocab.txt", "merges.txt")
"""Words of a pretrained encoder: a user called Alice is none of them."""
_HEX = "[0-9a-f]{32,}"


@dataclass(frozen=True)
class Words:
    """What no file may hold.

    Attributes:
        people: Ids; each counts as a word of its own: u1 is not in u12.
        samples: Ids of 32 hex digits; they count wherever they stand.
    """

    people: frozenset[str]
    samples: frozenset[str]

    @cached_property
    def _named(self) -> re.Pattern[str]:
        told = sorted(filter(distinctive, self.people), key=len, reverse=True)
        return re.compile(rf"(?<![0-9A-Za-z])(?:{'|'.join(map(re.escape, told)) or '(?!)'})(?![0-9A-Za-z])")

    @cached_property
    def _named_bytes(self) -> re.Pattern[bytes]:
        return re.compile(self._named.pattern.encode())

    def _sampled(self, run: str) -> bool:
        return any(run[start : start + 32] in self.samples for start in range(len(run) - 31))

    def inside(self, text: str, people: bool = True) -> bool:
        """Whether a text holds any."""
        return bool(people and self._named.search(text)) or any(map(self._sampled, re.findall(_HEX, text)))

    def inside_bytes(self, data: bytes, people: bool = True) -> bool:
        """The same of bytes."""
        runs = re.findall(_HEX.encode(), data)
        return bool(people and self._named_bytes.search(data)) or any(self._sampled(r.decode()) for r in runs)

    def without(self, text: str) -> tuple[str, int]:
        """A text with `GONE` in place of each, and how many they were."""
        text, named = self._named.subn(GONE, text)
        runs = [run for run in set(re.findall(_HEX, text)) if self._sampled(run)]
        for run in runs:
            text = text.replace(run, GONE)
        return text, named + len(runs)


def distinctive(word: str) -> bool:
    """Whether an id can be told from other words and numbers: "7" stands everywhere, "u7a" does not.

    One that cannot is looked for in the columns that name people, not in texts and bytes.
    """
    mixed = any(c.isdigit() for c in word) and any(c.isalpha() for c in word)
    return len(word) >= (3 if mixed else 6 if word.isdigit() else 5)


@dataclass
class Forget:
    """What must not be found any more.

    Attributes:
        people: The user's id, pseudonym and sessions.
        rows: Ids of rows that are this user's alone: queries, events, impressions, reviews.
        samples: Ids of samples.
        groups: Lists of which no sample is left.
        texts: Texts that this user alone had.
        pairs: (context, item) of the samples, as a report shows them.
    """

    people: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    samples: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)

    def words(self) -> Words:
        """What of it can be looked for in any file."""
        return Words(frozenset(self.people), frozenset(self.samples))


def strings(table: pa.Table, column: str) -> pa.ChunkedArray:
    """A column as strings, whatever they are encoded by."""
    return table[column].cast(pa.string())


def among(values: pa.ChunkedArray, known: Collection[str]) -> pa.ChunkedArray:
    """(n,) bool: which values are known; null is not."""
    return pc.is_in(values, pa.array(sorted(known), pa.string()))


def parquet_without(file: Path, forget: Forget, texts: Collection[str]) -> int:
    """Rewrite a parquet file without the rows.

    Args:
        file: Any parquet; one without a column that names samples, people or texts is left alone.
        forget: What to forget.
        texts: Texts that no remaining sample has.

    Returns:
        Rows that are gone.
    """
    known = set(pq.read_schema(file).names)
    ids: dict[str, Collection[str]] = {
        "sample_id": forget.samples,
        # What a model ranked over a catalogue has rows that are no samples.
        "group_id": forget.groups,
        "user_id": forget.people,
        "session_id": forget.people,
        "text_id": {text_id(text) for text in texts},
        # In the table of attributes an item is its text.
        "item": set() if "sample_id" in known else texts,
        **dict.fromkeys(ROW_IDS, forget.rows),
    }
    wanted = [column for column, values in ids.items() if values and column in known]
    if not wanted:
        return 0
    table = pq.read_table(file)
    gone = pa.chunked_array([pa.repeat(False, len(table))])
    for column in wanted:
        gone = pc.or_(gone, among(strings(table, column), ids[column]))
    count = int(pc.sum(gone).as_py() or 0)
    if count:
        kept = table.filter(pc.invert(gone))
        kept = pa.table([_compact(column) for column in kept.columns], schema=kept.schema)
        beside = _beside(file)
        pq.write_table(kept, beside, row_group_size=BLOCK, compression="zstd")
        os.replace(beside, file)
    return count


def samples_without(folder: Path, forget: Forget) -> int:
    """Rewrite a sample table, its shards whole blocks again; returns the samples that are gone."""
    frame = read_samples(folder)
    gone = frame["sample_id"].isin(forget.samples)
    if gone.any():
        shards, beside = shard_files(folder), folder.with_name(f".{folder.name}.{os.getpid()}")
        # A category would keep the values of rows that are gone.
        tags = {column: str for column in frame if frame[column].dtype == "category"}
        written = write_samples(frame[~gone].astype(tags), beside, len(shards))
        for file in written:
            os.replace(file, folder / file.name)
        for file in shards[len(written) :]:
            file.unlink()
        beside.rmdir()
    return int(gone.sum())


def ranking_without(folder: Path) -> int:
    """Rewrite the catalogue beside a sample table; returns the items changed.

    They stay, being the shop's; their places in the table of texts move up as texts of the user go.
    """
    ranking = read_ranking(folder)
    if ranking is None:
        return 0
    items, samples = ranking.items, read_samples(folder, columns=["context", "item"])
    texts = sorted({*samples["context"], *samples["item"], *items["item"]}, key=text_id)
    place = items["item"].map({text: number for number, text in enumerate(texts)})
    moved = int((place != items["text"]).sum())
    if moved:
        beside = folder.with_name(f".{folder.name}.{os.getpid()}")
        beside.mkdir()
        write_ranking(beside, items, ranking.interactions, ranking.seen, texts)
        for file in beside.iterdir():
            os.replace(file, folder / file.name)
        beside.rmdir()
    return moved


def _compact(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # A dictionary would keep the values of rows that are gone.
    if not pa.types.is_dictionary(column.type):
        return column
    return column.cast(column.type.value_type).dictionary_encode().cast(column.type)


def vectors_without(folder: Path, forget: Forget, catalogue: Collection[int] = ()) -> int:
    """Rewrite what `embed` wrote: rows of samples, and of texts that only they had; returns the samples.

    Args:
        folder: The vectors.
        forget: What to forget.
        catalogue: Places of texts that stay, whoever has them.
    """
    ids = pq.read_table(folder / SAMPLE_IDS)["sample_id"].to_pylist()
    keep = np.array([i not in forget.samples for i in ids], dtype=bool)
    if keep.all() or not (folder / PAIRS).is_file():
        return 0
    pairs = np.load(folder / PAIRS)
    if len(pairs) < len(keep):
        # An erasure was cut off between these and their ids.
        return 0
    used = np.zeros(len(np.load(folder / TEXTS, mmap_mode="r")), dtype=bool)
    used[pairs[keep].ravel()] = True
    used[list(catalogue)] = True
    written = []
    for file in sorted(folder.glob("*.npy")):
        rows = np.load(file)
        if file.name == TEXTS:
            rows = rows[used]
        elif file.name == PAIRS:
            rows = (np.cumsum(used) - 1)[rows[keep]].astype(rows.dtype)
        elif len(rows) == len(keep):
            rows = rows[keep]
        written.append((_beside(file), file))
        with written[-1][0].open("wb") as stream:
            np.save(stream, rows)
    # All at once: one without the others could not be read.
    for beside, file in written:
        os.replace(beside, file)
    return int((~keep).sum())


def text_without(file: Path, forget: Forget) -> int:
    """Rewrite a file of text: lines and rows of HTML go, words in JSON are replaced; returns the places."""
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return 0
    words = forget.words()
    if file.suffix in LINES:
        lines = text.split("\n")
        kept = [line for line in lines if not words.inside(line)]
        count, after = len(lines) - len(kept), "\n".join(kept)
    elif file.suffix == ".json":
        try:
            count, found = _json_without(json.loads(text), words, forget.texts)
        except ValueError:
            return 0
        after = json.dumps(found, indent=2) + "\n"
    else:
        count, after = _html_without(text, words, forget)
    if count:
        beside = _beside(file)
        beside.write_text(after, encoding="utf-8")
        os.replace(beside, file)
    return count


def _json_without(value: Any, words: Words, texts: Collection[str]) -> tuple[int, Any]:
    if isinstance(value, str):
        if value in texts:
            return 1, GONE
        after, count = words.without(value)
        return count, after
    if isinstance(value, list):
        parts = [_json_without(part, words, texts) for part in value]
        return sum(count for count, _ in parts), [part for _, part in parts]
    if isinstance(value, dict):
        total, found = 0, {}
        for key, part in value.items():
            (count, key), (more, part) = _json_without(key, words, ()), _json_without(part, words, texts)
            total, found[key] = total + count + more, part
        return total, found
    return 0, value


def _html_without(text: str, words: Words, forget: Forget) -> tuple[int, str]:
    pairs = {(_cell(context), _cell(item)) for context, item in forget.pairs}
    texts, count = {_cell(text) for text in forget.texts}, 0

    def row(match: re.Match[str]) -> str:
        nonlocal count
        cells = re.findall(r"<td[^>]*>(.*?)</td>", match.group(), re.S)
        gone = words.inside(match.group()) or texts & set(cells) or tuple(cells[:2]) in pairs
        count += bool(gone)
        return "" if gone else match.group()

    after, rest = words.without(re.sub(r"<tr\b.*?</tr>", row, text, flags=re.S))
    return count + rest, after


def _cell(text: str) -> str:
    # As the templates escape.
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def is_sqlite(file: Path) -> bool:
    """Whether a file is a database."""
    with file.open("rb") as stream:
        return stream.read(len(SQLITE)) == SQLITE


def sqlite_without(file: Path, forget: Forget) -> int:
    """Replace words in all text columns of a database; what that frees is overwritten. Returns the values."""
    return _sqlite_changed(file, forget.words().without)


def sqlite_replaced(file: Path, names: Mapping[str, str]) -> int:
    """Replace whole values in all text columns of a database. Returns how many."""
    return _sqlite_changed(file, lambda value: (names[value], 1) if value in names else (value, 0))


def _sqlite_changed(file: Path, change: Callable[[str], tuple[str, int]]) -> int:
    count = 0
    with closing(sqlite3.connect(file)) as base:
        base.execute("PRAGMA secure_delete = ON")
        for table, column, rowid, value in list(_sqlite_texts(base)):
            after, places = change(value)
            if places:
                base.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (after, rowid))
                count += 1
        base.commit()
        if count:
            base.execute("VACUUM")
    return count


def _sqlite_texts(base: sqlite3.Connection) -> Iterator[tuple[str, str, int, str]]:
    """(table, column, rowid, text) of all texts."""
    for (table,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, column, *_ in base.execute(f'PRAGMA table_info("{table}")').fetchall():
            asked = f'SELECT rowid, "{column}" FROM "{table}" WHERE typeof("{column}") = \'text\''
            for rowid, value in base.execute(asked).fetchall():
                yield table, column, rowid, value


def holds(file: Path, words: Words) -> bool:
    """Whether a file holds any: in its name, its bytes or, of a parquet or a database, in its values."""
    people = file.name not in VOCABULARY
    if words.inside(file.name):
        return True
    if file.suffix == ".parquet" and _parquet_holds(file, words):
        return True
    with file.open("rb") as stream:
        first = rest = stream.read(1 << 24)
        if words.inside_bytes(first, people):
            return True
        # The end of a block once more: a word may lie across.
        while block := stream.read(1 << 24):
            rest = rest[-4096:] + block
            if words.inside_bytes(rest, people):
                return True
    if first.startswith(SQLITE):
        with closing(sqlite3.connect(file)) as base:
            return any(words.inside(value) for *_, value in _sqlite_texts(base))
    return False


def _parquet_holds(file: Path, words: Words) -> bool:
    reader = pq.ParquetFile(file)
    for one in reader.schema_arrow:
        kind = one.type.value_type if pa.types.is_dictionary(one.type) else one.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            continue
        for batch in reader.iter_batches(columns=[one.name], batch_size=1 << 16):
            values = batch.column(0).cast(pa.string()).unique().drop_null().to_pylist()
            if any(map(words.inside, values)):
                return True
    return False


def _beside(file: Path) -> Path:
    return file.with_name(f".{file.name}.{os.getpid()}")
