"""The sample table: schema, content-hash ids, sharded parquet in and out, splits by group hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA_VERSION = "1"
BLOCK = 4096
"""Rows of a fixed block in `sample_id` order: batches, folds and draws are functions of the block."""

SHARD_BLOCKS = 64
"""Blocks of a shard, 262,144 rows, where their number is not named."""

USERS = "users.parquet"
"""Beside the shards of a table whose log names users: whose a sample is."""
_WHOSE = pa.schema([("sample_id", pa.string()), ("user_id", pa.string())])

SPLITS = ("train", "validation", "test", "target")
SPLIT_SALT = "assay-split-1"
"""Fixed for ever: a later test set must never hold a group that today's champion trained on."""

_TAG = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("task", _TAG, nullable=False),
        pa.field("group_id", pa.string(), nullable=False),
        pa.field("context", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("label", pa.float32(), nullable=False),
        # float64: shops grade in tenths, and a threshold must mean the same once grades are written.
        pa.field("grade", pa.float64()),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("position", pa.int16()),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("segment", _TAG, nullable=False),
        pa.field("source", _TAG, nullable=False),
        pa.field("split", _TAG, nullable=False),
        pa.field("features", pa.map_(pa.string(), pa.float32())),
    ],
    metadata={"assay.schema": SCHEMA_VERSION},
)


def sample_ids(
    task: str,
    group_ids: Sequence[str],
    contexts: Sequence[str],
    item_ids: Sequence[str],
    items: Sequence[str],
    label_source: str,
) -> list[str]:
    """Content hashes of rows: the same row has the same id on every machine.

    Args:
        task: One of the tasks.
        group_ids: (n,) list each row is ranked in.
        contexts: (n,) context texts.
        item_ids: (n,) item ids.
        items: (n,) item texts.
        label_source: What the label is made of: `grade`, `click`.

    Returns:
        (n,) hex strings of blake2b-128.
    """
    ids = []
    for row in zip(group_ids, contexts, item_ids, items, strict=True):
        digest = hashlib.blake2b(digest_size=16)
        for part in (task, *row, label_source):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
        ids.append(digest.hexdigest())
    return ids


def hash_unit(values: Sequence[str], salt: str) -> np.ndarray:
    """Each string's place in [0, 1), by blake2b under a salt. Returns (n,) float64."""
    key = salt.encode()
    places = [
        int.from_bytes(
            hashlib.blake2b(v.encode("utf-8", "surrogatepass"), digest_size=8, key=key[:64]).digest(), "big"
        )
        for v in values
    ]
    return np.asarray([p / 2.0**64 for p in places], dtype=np.float64)


def text_id(text: str) -> str:
    """Hex blake2b-128 of a text: its key in the table of distinct texts."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def relevance(samples: pd.DataFrame) -> np.ndarray:
    """How relevant each row is on the scale of `relevant_at`: its grade, else its label. (n,) float64."""
    label = samples["label"].to_numpy(dtype=np.float64)
    if "grade" not in samples:
        return label
    grade = samples["grade"].to_numpy(dtype=np.float64)
    return np.where(np.isnan(grade), label, grade)


class SampleWriter:
    """Writes samples as `part-00000.parquet ...`, as they come: memory stays constant."""

    def __init__(self, folder: str | Path, rows: int, shards: int = 1) -> None:
        """Make the folder where it is missing.

        Args:
            folder: Where the shards go.
            rows: Samples that will come.
            shards: Shards at most, each a whole number of blocks of 4,096 rows; 0 takes one for each
                `SHARD_BLOCKS` blocks.
        """
        blocks = max(1, -(-rows // BLOCK))
        self._rows = -(-blocks // max(1, shards or -(-blocks // SHARD_BLOCKS))) * BLOCK
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self.files: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._left = SCHEMA.empty_table()
        self._written = 0
        self._last = ""

    def write(self, frame: pd.DataFrame) -> None:
        """Take samples that come after those before, in `sample_id` order.

        Args:
            frame: One row a sample, the columns of `SCHEMA`; missing nullable columns are filled with null.

        Raises:
            ValueError: A `sample_id` occurs twice, or is not in order.
        """
        ids = [self._last, *frame["sample_id"]]
        if any(one >= other for one, other in pairwise(ids)):
            raise ValueError("sample_id occurs twice, or not in order: merge and sort rows first")
        self._last = ids[-1]
        missing = {field.name: None for field in SCHEMA if field.name not in frame}
        table = pa.Table.from_pandas(
            frame.assign(**missing)[SCHEMA.names], schema=SCHEMA, preserve_index=False
        ).replace_schema_metadata(SCHEMA.metadata)
        self._left = pa.concat_tables([self._left, table])
        whole = len(self._left) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            self._block(self._left.slice(start, BLOCK))
        self._left = self._left.slice(whole)

    def close(self) -> list[Path]:
        """Write what is left. Returns the shard files, in order."""
        if len(self._left) or not self.files:
            self._block(self._left)
        if self._writer is not None:
            self._writer.close()
        return self.files

    def _block(self, block: pa.Table) -> None:
        if self._written % self._rows == 0:
            if self._writer is not None:
                self._writer.close()
            self.files.append(self._folder / f"part-{len(self.files):05d}.parquet")
            self._writer = pq.ParquetWriter(self.files[-1], SCHEMA, compression="zstd")
        assert self._writer is not None
        # Dictionaries of a shard are united, whichever parts its rows came in.
        self._writer.write_table(block.combine_chunks(), row_group_size=BLOCK)
        self._written += len(block)


def write_samples(frame: pd.DataFrame, folder: str | Path, shards: int = 1) -> list[Path]:
    """Write samples in `sample_id` order as `part-00000.parquet ...`.

    Args:
        frame: One row a sample, as `SampleWriter.write` takes them, in any order.
        folder: Where the shards go; made if missing.
        shards: How many at most; each is a whole number of blocks of 4,096 rows.

    Returns:
        The shard files, in order.

    Raises:
        ValueError: A `sample_id` occurs twice.
    """
    writer = SampleWriter(folder, len(frame), shards)
    writer.write(frame.sort_values("sample_id", kind="stable").reset_index(drop=True))
    return writer.close()


class UserWriter:
    """Writes `users.parquet` (sample_id, user_id): whose the samples are that come of one user alone.

    A sample that was merged of several users' rows is nobody's, and has no row there; where no sample is
    anybody's there is no file.
    """

    def __init__(self, folder: str | Path) -> None:
        """Into the folder of a sample table."""
        self._file = Path(folder) / USERS
        self._writer: pq.ParquetWriter | None = None

    def write(self, samples: pd.DataFrame) -> None:
        """Take samples that come after those before, in `sample_id` order.

        Args:
            samples: Columns sample_id and, where the log names users, user_id (text, null).
        """
        if "user_id" not in samples or not samples["user_id"].notna().any():
            return
        known = samples[["sample_id", "user_id"]].dropna()
        table = pa.Table.from_pandas(known, schema=_WHOSE, preserve_index=False)
        self._writer = self._writer or pq.ParquetWriter(self._file, _WHOSE)
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._writer is not None:
            self._writer.close()


def shard_files(folder: str | Path) -> list[Path]:
    """The shards of a sample table, in `sample_id` order.

    Raises:
        FileNotFoundError: The folder holds none.
    """
    files = sorted(Path(folder).glob("part-*.parquet"))
    if not files:
        raise FileNotFoundError(f"no part-*.parquet in {folder}: is it a sample table?")
    return files


def iter_samples(folder: str | Path, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """Samples block by block (at most 4,096 rows each), in `sample_id` order: memory stays constant."""
    for file in shard_files(folder):
        reader = pq.ParquetFile(file)
        for group in range(reader.num_row_groups):
            yield reader.read_row_group(group, columns=columns).to_pandas()


def read_samples(
    folder: str | Path,
    splits: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Samples of some splits in `sample_id` order, index 0..n-1.

    Args:
        folder: A sample table.
        splits: Which splits; all if None.
        columns: Which columns; all if None.
        ids: Which samples; all if None.

    Raises:
        ValueError: The table's schema version is not the one of this code.
    """
    found = (pq.read_schema(shard_files(folder)[0]).metadata or {}).get(b"assay.schema", b"none").decode()
    if found != SCHEMA_VERSION:
        raise ValueError(f"{folder}: sample schema {found}, this code reads {SCHEMA_VERSION}: ingest again")
    filters = [("split", "in", list(splits))] if splits is not None else []
    filters += [("sample_id", "in", list(ids))] if ids is not None else []
    files = [str(f) for f in shard_files(folder)]
    table = pq.read_table(files, columns=list(columns) if columns else None, filters=filters or None)
    return table.to_pandas().reset_index(drop=True)


def read_shard(folder: str | Path, shard: str = "") -> pd.DataFrame:
    """All rows of one shard, or of all of them, with their place in the whole table.

    Args:
        folder: A sample table.
        shard: Name of a shard file; "" is the whole table.

    Returns:
        The columns of `SCHEMA` and `block`: the number of the row's block of 4,096. The index is the row's
        place in the whole table.

    Raises:
        ValueError: There is no such shard.
    """
    if not shard:
        frame = read_samples(folder)
    else:
        files = shard_files(folder)
        names = [file.name for file in files]
        if shard not in names:
            raise ValueError(f"{folder} has no shard {shard!r}; it has {', '.join(names)}")
        number = names.index(shard)
        frame = pq.read_table(files[number]).to_pandas()
        frame.index += sum(pq.read_metadata(file).num_rows for file in files[:number])
    return frame.assign(block=frame.index // BLOCK)
