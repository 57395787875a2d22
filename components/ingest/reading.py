"""Files of a log -> what is read of them, each by the reader that knows its format, or by its columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.core.manifest import write_json
from assay.components.core.progress import steps
from assay.components.ingest.flat_search import UNUSED_SPLIT, Flat, read_flat
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.log_store import ROWS, LogStore, Reading
from assay.components.ingest.parts.seen import Seen
from assay.components.ingest.privacy import protected
from assay.components.ingest.readers.flat import flat_tables, read_log
from assay.components.ingest.readers.known import Claim, chunks, claim, claimed
from assay.components.ingest.readers.mapping import reader_of
from assay.components.ingest.readers.sources import data_sha256, expand, named
from assay.components.ingest.tables import LOGGED

FLAT = {"recommendation": "events", "review": "reviews", "ads": "impressions"}
"""{task: what a row of its flat file is}; a search's are rows at once."""
FLAT_READER = "columns"
"""What reads a file by the roles of its columns."""
SETTINGS = "settings.json"
Add = Callable[[str, pl.DataFrame | pd.DataFrame], None]


@dataclass(frozen=True)
class Format:
    """How files are read.

    Attributes:
        task: Its name.
        columns: {role: columns}.
        split_column: Column that names each row's split.
        max_grade: No grade may lie above; 0 is no bound.
        drop_unlabelled: Drop rows without a usable label rather than refuse the file.
        format: Name of the reader of every file; each is asked if "".
        mapping: File that says what the columns are, or the name of one that is shipped.
    """

    task: str
    columns: dict[str, list[str]]
    split_column: str = ""
    max_grade: float = 0.0
    drop_unlabelled: bool = False
    format: str = ""
    mapping: str = ""


@dataclass(frozen=True)
class Read:
    """What is known of a file once it was read.

    Attributes:
        reader: Name of its reader.
        columns: By role, of a flat file.
        flat: Of a flat file of a search.
    """

    reader: str
    columns: dict[str, list[str]]
    flat: Flat | None = None

    @classmethod
    def of(cls, about: dict[str, Any]) -> Read:
        """As it was kept."""
        return cls(about["reader"], about["columns"], Flat(**about["flat"]) if about["flat"] else None)


def claims_of(data: str, how: Format) -> list[Claim] | None:
    """What readers say of the data; None where columns are named, or a file has no reader.

    Raises:
        BadInput: There is no such file, format or mapping; or several files, of which one has no reader.
    """
    if how.columns and (how.format or how.mapping):
        raise BadInput("--columns: a file is read by its columns, or by --format or --mapping; leave one out")
    if how.columns:
        return None
    sources = expand(named(data))
    if how.mapping:
        reader = reader_of(how.mapping)
        return [Claim(source, reader, "named by --mapping") for source in sources]
    if how.format or len(named(data)) > 1:
        return claimed(sources, how.format)
    claims = [claim(source) for source in sources]
    known = [one for one in claims if one is not None]
    return known if len(known) == len(claims) else None


def files_of(data: str, how: Format) -> list[tuple[str, Claim | None]]:
    """What is read one after the other: a path, and who claims it; a folder of a flat log is one."""
    claims = claims_of(data, how)
    if claims is not None:
        return [(one.source.path, one) for one in claims]
    return [(path, None) for path in named(data)]


def read(path: str, one: Claim | None, how: Format, ledger: Ledger, add: Add, seen: Seen) -> Read:
    """Read a file, or a folder of a flat log.

    Args:
        path: Where it is.
        one: Who claims it; None reads it by its columns.
        how: How.
        ledger: Where its rows are counted.
        add: Takes chunks of canonical tables by name, or of `ROWS`.
        seen: Ids of the events that came before in the same log.

    Raises:
        BadInput: It cannot be read to its end.
    """
    if one is not None:
        for name, chunk in steps(chunks(one, ledger), "ingest", "chunk read"):
            add(name, chunk)
        return Read(one.reader.name, {})
    if how.task == "search":
        flat = read_flat(
            path, how.columns, ledger, lambda rows: add(ROWS, rows), how.max_grade, how.split_column,
            how.drop_unlabelled, seen,
        )  # fmt: skip
        return Read(FLAT_READER, flat.columns, flat)
    frames, source = read_log(path)
    if "order" in how.columns:
        frames = iter([pd.concat(list(frames))])
    columns: dict[str, list[str]] = {}
    items = pl.Series("item_id", [], dtype=pl.String)
    for frame in steps(frames, "ingest", "chunk read"):
        tables, columns = flat_tables(frame, how.columns, FLAT[how.task], source, ledger, how.split_column)
        if "split" in frame and not how.split_column:
            ledger.note("unused_split_column", len(frame), [UNUSED_SPLIT])
        if "items" in tables:
            # What a row says of its item is said of it once.
            new = tables["items"].filter(~pl.col("item_id").is_in(items.implode(), nulls_equal=True))
            items, tables["items"] = items.append(new["item_id"]), new
        for name, table in tables.items():
            add(name, table)
    return Read(FLAT_READER, columns)


def read_new(data: str, how: Format, log: LogStore) -> list[Reading]:
    """Read into a store what it does not hold yet; returns that.

    Raises:
        BadInput: The store was made in another way; a file cannot be read.
    """
    settings, file, readings = asdict(how), log.folder / SETTINGS, log.readings()
    if readings and (kept := json.loads(file.read_text())) != settings:
        other = ", ".join(name for name, value in settings.items() if kept.get(name) != value)
        raise BadInput(f"{log.folder.parent}: was made with another {other}; give the same, or another --out")
    if not file.is_file():
        log.folder.mkdir(parents=True, exist_ok=True)
        write_json(file, settings)
    known = {reading.about["sha256"] for reading in readings}
    new = []
    batch = 1 + max((reading.about["batch"] for reading in readings), default=0)
    for path, one in files_of(data, how):
        sha256 = data_sha256(path)
        if sha256 in known:
            continue
        known.add(sha256)
        ledger, writer = Ledger(), log.writer(Path(path).name, sha256)
        about = read(path, one, how, ledger, _protecting(writer.add, ledger), Seen())
        new.append(writer.close(ledger, batch=batch, **asdict(about)))
    return new


def stored(log: LogStore, ledger: Ledger) -> Iterator[tuple[str, Any]]:
    """All that a store holds, in the order it came: (table, rows).

    Args:
        log: The store.
        ledger: Gets what its files counted. What `assay erase` took out is dropped as `erased`. Rows that lie
            before what earlier calls had seen are noted as `late_event`, dropped as `too_late` if they lie
            more than the store's `late_days` before it.
    """
    readings = log.readings()
    seen = Seen()
    for reading in readings:
        ledger.take(reading.about["ledger"])
        ledger.drop("erased", reading.erased())
        before = [r.last for r in readings if r.about["batch"] < reading.about["batch"] and r.last]
        watermark = max(before, default=None)
        if not reading.about["flat"]:
            for name, chunk in reading.chunks():
                yield name, _timely(chunk, watermark, log.late_days, ledger) if name in LOGGED else chunk
            continue
        for rows in reading.frames():
            if "event" in rows:
                again = seen.again(rows["event"])
                ledger.drop("duplicate_event", int(again.sum()))
                rows = rows[~again]
            yield ROWS, _timely(rows, watermark, log.late_days, ledger)


def _timely(rows: Any, watermark: Any, late_days: float, ledger: Ledger) -> Any:
    if watermark is None or "timestamp" not in rows.columns:
        return rows
    moments = pd.Series(rows["timestamp"].to_numpy())
    edge = pd.Timestamp(watermark).tz_convert("UTC").tz_localize(None).to_datetime64()
    moments = moments if moments.dt.tz is None else moments.dt.tz_convert("UTC").dt.tz_localize(None)
    late = (moments < edge).to_numpy()
    too_late = (moments < edge - pd.Timedelta(days=late_days)).to_numpy() & bool(late_days)
    ledger.note("late_event", int((late & ~too_late).sum()), [f"before {watermark}"])
    ledger.drop("too_late", int(too_late.sum()), [f"{late_days:g} days before {watermark}"])
    return rows.filter(pl.Series(~too_late)) if isinstance(rows, pl.DataFrame) else rows[~too_late]


def _protecting(add: Add, ledger: Ledger) -> Add:
    """What is kept holds no personal data, as what is written does not."""

    def kept(name: str, chunk: pl.DataFrame | pd.DataFrame) -> None:
        add(name, protected({name: chunk}, ledger)[name] if isinstance(chunk, pl.DataFrame) else chunk)

    return kept
