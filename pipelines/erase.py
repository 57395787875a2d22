"""Forget a user: every row, sample and text under a runs folder that is this user's, and the proof of it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from assay.components.core.errors import BadInput
from assay.components.core.full_ranking import Catalogue, read_ranking
from assay.components.core.manifest import MANIFEST, sha256_of, write_json
from assay.components.core.samples import read_samples, shard_files
from assay.components.core.tracking import CANARY
from assay.components.core.vectors import SAMPLE_IDS
from assay.components.ingest.privacy import WRITTEN, pseudonym
from assay.pipelines.exporting import mark_stale, renewed
from assay.pipelines.forgotten import (
    ROW_IDS,
    VOCABULARY,
    WEIGHTS,
    Forget,
    among,
    distinctive,
    holds,
    is_sqlite,
    parquet_without,
    ranking_without,
    samples_without,
    sqlite_replaced,
    sqlite_without,
    strings,
    text_without,
    vectors_without,
)
from assay.pipelines.launch import LOCK, REQUEST
from filelock import FileLock, Timeout

RECORD = "erased-{}.json"
_TYPED = sorted({column for columns in WRITTEN.values() for column in columns})
_ROWS_OF = "rows.parquet"
"""In the folder of a trained ranker: the samples it was trained on."""


@dataclass
class Erased:
    """What was done.

    Attributes:
        samples: Samples that are gone.
        files: {file: rows or places that are gone}.
        retrain: Folders of models that were trained on them: weights cannot forget.
        exports: What was exported of runs that lost rows, and lies outside or is not where it was.
        logs: Files that runs were made of; they lie outside and are not touched.
        left: Files in which something is still found; none, or the erasure failed.
        told_apart: Whether the id is a word that can be looked for in texts and bytes.
        record: Where this is written.
    """

    samples: int = 0
    files: dict[str, int] = field(default_factory=dict)
    retrain: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    told_apart: bool = True
    record: str = ""


def erase(user: str, runs: Path, key: bytes | None = None) -> Erased:
    """Remove a user from all that lies under a folder of runs.

    A sample is this user's if its list is (the user, or the user and a cut in time), if a table that names
    users names this one for it, or if its text was typed by nobody else. Files are written beside and
    renamed; manifests get their new hashes. What names a hash that changed gets the new one.

    Args:
        user: The id as the log has it.
        runs: A folder that holds runs.
        key: Of the pseudonyms; None looks for the id alone.

    Returns:
        What was done; it is written into the folder too, without the id.

    Raises:
        BadInput: There is no such folder, no id, or a run is under way.
    """
    if not user.strip():
        raise BadInput("--user: is empty")
    if not runs.is_dir():
        raise BadInput(f"--runs {runs}: no such folder")
    with _all_still(runs):
        forget = _known(user, runs, key)
        done = Erased(samples=len(forget.samples), told_apart=distinctive(user))
        tables, alone = _sample_tables(runs), _only_theirs(runs, forget)
        models = _trained_on(runs, forget)
        mark_stale(runs, forget.samples)
        catalogues = _catalogues(tables)
        for folder in sorted({file.parent for file in runs.rglob(SAMPLE_IDS)}):
            kept = catalogues.get(_about(folder).get("samples_sha256", ""))
            places = [] if kept is None else kept.items["text"].tolist()
            _note(done, runs, folder, vectors_without(folder, forget, places))
        # What says whose a sample is goes last: an erasure that was cut off can be started again.
        shards = {file for folder in tables for file in shard_files(folder)}
        saying = {file: names for file in _files(runs) if (names := _names_people(file))}
        for file in _files(runs):
            if file not in shards and file not in saying:
                _note(done, runs, file, _rewritten(file, forget, alone.get(file.parent, set())))
        for folder in tables:
            _note(done, runs, folder, samples_without(folder, forget))
            _note(done, runs, folder, ranking_without(folder))
        for file in sorted(saying, key=lambda file: (saying[file], file)):
            _note(done, runs, file, _rewritten(file, forget, set()))
        again, done.exports = renewed(runs)
        for out, count in again.items():
            _note(done, runs.resolve(), out, count)
        # Also of what one that was cut off has rewritten.
        _manifests(runs, done)
        done.retrain = sorted(str(folder.relative_to(runs)) for folder in models)
        done.logs = _logs(runs) if done.files else []
        words = forget.words()
        done.left = [str(file.relative_to(runs)) for file in _files(runs) if holds(file, words)]
        when = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        done.record = str(runs / RECORD.format(when))
        about = {key: value for key, value in vars(done).items() if key != "record"}
        write_json(done.record, {"when": when} | about)
    return done


@contextlib.contextmanager
def _all_still(runs: Path) -> Iterator[None]:
    """No run may write while its files are rewritten."""
    with contextlib.ExitStack() as stack:
        for lock in sorted(runs.rglob(LOCK)):
            try:
                stack.enter_context(FileLock(lock, timeout=0))
            except Timeout as error:
                raise BadInput(f"{lock.parent}: a run is under way there; wait for it") from error
        yield


def _files(runs: Path) -> list[Path]:
    return sorted(file for file in runs.rglob("*") if file.is_file() and not file.is_symlink())


def _tables(runs: Path) -> Iterator[tuple[Path, pa.Table]]:
    """Parquet files that say whose something is, without what they hold beside."""
    wanted = {"sample_id", "group_id", "task", "context", "item", "user_id", "session_id", *ROW_IDS, *_TYPED}
    for file in sorted(runs.rglob("*.parquet")):
        names = [name for name in pq.read_schema(file).names if name in wanted]
        if {"user_id", "session_id", "group_id"} & set(names):
            yield file, pq.read_table(file, columns=names)


def _names_people(file: Path) -> int:
    """Whether a table names users, 2, or sessions alone, 1: whose those are the others say."""
    if file.suffix != ".parquet":
        return 0
    names = set(pq.read_schema(file).names)
    return 2 * ("user_id" in names) or int("session_id" in names)


def _known(user: str, runs: Path, key: bytes | None) -> Forget:
    """All that is this user's."""
    # Feedback bears pseudonyms already; `ingest` with a key makes pseudonyms of those.
    once = {pseudonym(user, key)} if key else set()
    forget = Forget(people={user} | once | {pseudonym(one, key) for one in once if key})
    named = [(file, table) for file, table in _tables(runs) if "user_id" in table.column_names]
    mine, others = _split(named, forget)
    # Sessions first: a row may name the session alone. One that names another user is not this user's.
    others = [table.filter(pc.is_valid(table["user_id"])) for table in others]
    forget.people |= _values(mine, ("session_id",)) - _values(others, ("session_id",))
    tables = list(_tables(runs))
    named = [(f, t) for f, t in tables if {"user_id", "session_id"} & set(t.column_names)]
    mine, others = _split(named, forget)
    forget.rows = _values(mine, ROW_IDS) - _values(others, ROW_IDS)
    forget.texts = {text for text in _values(mine, _TYPED) - _values(others, _TYPED) if text}
    forget.samples = _values(mine, ("sample_id",))
    others_lists: set[str] = set()
    for file, table in tables:
        if not {"sample_id", "group_id", "context", "item"} <= set(table.column_names):
            continue
        own = pc.or_(_own_lists(table, forget), among(strings(table, "sample_id"), forget.samples))
        for column in ("context", "item"):
            own = pc.or_(own, among(strings(table, column), forget.texts))
        part = table.filter(own)
        # A canary set over a catalogue has rows that are no samples; they go with their list.
        if file.parent.name != CANARY:
            forget.samples |= set(strings(part, "sample_id").to_pylist())
        forget.pairs |= set(zip(*(strings(part, c).to_pylist() for c in ("context", "item")), strict=True))
        forget.groups |= _values([part], ("group_id",))
        others_lists |= _values([table.filter(pc.invert(own))], ("group_id",))
    forget.groups -= others_lists
    return forget


def _own_lists(table: pa.Table, forget: Forget) -> pa.ChunkedArray:
    """(n,) bool: lists named by the user or, but for searches, by the user and a cut: "u1|3"."""
    groups = strings(table, "group_id")
    own = among(groups, forget.people | forget.rows)
    if "task" not in table.column_names:
        return own
    names = "|".join(map(re.escape, sorted(forget.people)))
    cut = pc.match_substring_regex(groups, rf"^(?:{names})[^0-9A-Za-z\s]\S*$")
    # The list of a search is what was typed, by whomever.
    return pc.or_(own, pc.and_(cut, pc.not_equal(strings(table, "task"), "search")))


def _split(tables: list[tuple[Path, pa.Table]], forget: Forget) -> tuple[list[pa.Table], list[pa.Table]]:
    """Rows that name the user, and those that do not."""
    mine, others = [], []
    for _, table in tables:
        names = [c for c in ("user_id", "session_id") if c in table.column_names]
        hits = [among(strings(table, name), forget.people) for name in names]
        own = hits[0] if len(hits) == 1 else pc.or_(*hits)
        mine.append(table.filter(own))
        others.append(table.filter(pc.invert(own)))
    return mine, others


def _values(tables: list[pa.Table], columns: Any) -> set[str]:
    found: set[str] = set()
    for table in tables:
        for column in set(columns) & set(table.column_names):
            found |= set(strings(table, column).drop_null().unique().to_pylist())
    return found


def _only_theirs(runs: Path, forget: Forget) -> dict[Path, set[str]]:
    """{folder of texts: those that no sample of the nearest folder above has any more}."""
    shown = ["sample_id", "context", "item"]
    tables = {place: read_samples(place, columns=shown) for place in _sample_tables(runs)}
    alone = {}
    for folder in {file.parent for file in runs.rglob("texts.parquet")}:
        near = next(
            (
                [table for place, table in tables.items() if place.is_relative_to(above)]
                for above in folder.parents
                if any(place.is_relative_to(above) for place in tables)
            ),
            [],
        )
        gone, kept = set(forget.texts), set()
        for table in near:
            out = table["sample_id"].isin(forget.samples)
            gone |= set(table.loc[out, ["context", "item"]].to_numpy().ravel())
            kept |= set(table.loc[~out, ["context", "item"]].to_numpy().ravel())
        alone[folder] = gone - kept
    for kept_items in _catalogues(list(tables)).values():
        for texts in alone.values():
            texts -= set(kept_items.items["item"])
    return alone


def _about(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    return json.loads(file.read_text()) if file.is_file() else {}


def _catalogues(tables: list[Path]) -> dict[str, Catalogue]:
    """{hash of a sample table: the catalogue beside it}."""
    found = {_about(folder).get("sha256", ""): read_ranking(folder) for folder in tables}
    return {sha256: catalogue for sha256, catalogue in found.items() if catalogue is not None}


def _sample_tables(runs: Path) -> list[Path]:
    files = runs.rglob("part-00000.parquet")
    return sorted(file.parent for file in files if b"assay.schema" in (pq.read_schema(file).metadata or {}))


def _trained_on(runs: Path, forget: Forget) -> list[Path]:
    """Folders of models trained on what is forgotten, now or before, and copies of their rankers.

    Each is marked in its manifest before anything is rewritten: afterwards nobody could tell.
    """
    models = []
    for file in sorted(runs.rglob(_ROWS_OF)):
        folder, ids = file.parent, pq.read_table(file, columns=["sample_id"])["sample_id"]
        count = pc.sum(among(ids, forget.samples)).as_py() or 0
        marked = folder / MANIFEST
        about = json.loads(marked.read_text()) if marked.is_file() else {}
        if count:
            about["retrain"] = about.get("retrain", 0) + count
            write_json(marked, about)
        if about.get("retrain"):
            models.append(folder)
    rankers = {sha256_of(folder / "ranker") for folder in models if (folder / "ranker").is_dir()}
    for folder in sorted(runs.rglob("ranker")) if rankers else []:
        if folder.is_dir() and folder.parent not in models and sha256_of(folder) in rankers:
            models.append(folder)
    return models


def _rewritten(file: Path, forget: Forget, texts: set[str]) -> int:
    if file.suffix == ".parquet":
        return parquet_without(file, forget, texts)
    if file.suffix in WEIGHTS or file.name in (LOCK, *VOCABULARY):
        return 0
    return sqlite_without(file, forget) if is_sqlite(file) else text_without(file, forget)


def _note(done: Erased, runs: Path, path: Path, count: int) -> None:
    if count:
        name = str(path.relative_to(runs))
        done.files[name] = done.files.get(name, 0) + count


def _manifests(runs: Path, done: Erased) -> None:
    """New hashes and counts; a hash that changed is changed wherever a text names it."""
    changed = []
    for file in sorted(runs.rglob(MANIFEST)):
        about, folder = json.loads(file.read_text()), file.parent
        if "sha256" in about and about["sha256"] != (now := sha256_of(folder)):
            changed.append((file, about, now))
    renamed = {about["sha256"]: now for _, about, now in changed}
    if not renamed:
        return
    # A registry's tags name the hash of a version's canary set. First: once manifests are right, an erasure
    # that was cut off could not tell which hash was which.
    for file in _files(runs):
        if is_sqlite(file):
            _note(done, runs, file, sqlite_replaced(file, renamed))
    for file, about, now in changed:
        about["sha256"] = now
        _counts(file.parent, about)
        write_json(file, about)
        _note(done, runs, file, 1)
    old = re.compile("|".join(renamed))
    for file in _files(runs):
        if file.suffix == ".json" and file.name not in VOCABULARY:
            text = file.read_text(encoding="utf-8", errors="replace")
            if old.search(text):
                write_json(file, json.loads(old.sub(lambda match: renamed[match.group()], text)))
                _note(done, runs, file, 1)


def _counts(folder: Path, about: dict[str, Any]) -> None:
    """Of a sample table: so that its ledger reconciles, and says why it has fewer rows."""
    if "ledger" not in about or not isinstance(about.get("samples"), dict):
        return
    table = read_samples(folder, columns=["split", "group_id"])
    gone = sum(about["samples"].values()) - len(table)
    for name in about["samples"]:
        part = table[table["split"] == name]
        about["samples"][name] = len(part)
        if isinstance(about.get("groups"), dict):
            about["groups"][name] = int(part["group_id"].nunique())
    ledger = about["ledger"]
    ledger["rows_out"] -= gone
    ledger["dropped"]["erased"] = ledger["dropped"].get("erased", 0) + gone


def _logs(runs: Path) -> list[str]:
    found = set()
    for file in runs.rglob(REQUEST):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found.add(str(json.loads(file.read_text())["arguments"]["data"]))
    return sorted(found)


def told(done: Erased) -> str:
    """What was done, for people."""
    lines = [f"{file}: {count}" for file, count in sorted(done.files.items())]
    lines.append(f"{done.samples} samples erased; {len(done.files)} files rewritten: {done.record}")
    if done.retrain:
        lines.append("weights cannot forget; trained on erased rows, so train again and retire these:")
        lines += [f"  {folder}" for folder in done.retrain]
    if done.exports:
        lines.append("exports of runs that lost rows, outside or moved; remove them, and export again:")
        lines += [f"  {out}" for out in done.exports]
    if done.logs:
        lines.append("logs that runs were made of; erase the user there too, or the next run brings it back:")
        lines += [f"  {log}" for log in done.logs]
    if done.left:
        lines.append("NOT ERASED, still found in:")
        lines += [f"  {file}" for file in done.left]
    else:
        lines.append("proof: neither the id, nor its pseudonym, nor a sample's id is in any file")
    if not done.told_apart:
        lines.append(
            "the id is too short to be told from other words: only columns were looked through for it"
        )
    return "\n".join(lines)
