"""OpenSearch User Behavior Insights 1.0 to 1.3: queries with the lists they were answered with, and events.

Schema: https://github.com/o19s/ubi. As it is found: JSON lines, `_bulk` bodies, `index<TAB>json` lines,
exports with `_source`, answers of `_search`, parquet nested or flat, csv; queries and events in files of
their own or mixed in one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import kept, moment
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.records import of_objects, records
from assay.components.ingest.readers.sources import Source
from assay.components.ingest.readers.values import joined_text, numbers

_OBJECT = "event_attributes.object"
_POSITION = "event_attributes.position.ordinal"
_PLACED = "event_attributes.placement_propensity"
"""Chance that the item stood there, where positions were drawn: not that of a look, which `propensity` is."""
_HITS = ("query_response_hit_ids", "query_response_object_ids")
"""The list as it was shown; the second name is that of dumps older than the plugin's 2.15."""
_TEXTS = (
    *("action_name", "query_id", "query_response_id", "user_query", "timestamp"),
    *("user_id", "client_id", "session_id", "event_attributes.session_id"),
    *(f"{_OBJECT}.{name}" for name in ("object_id", "internal_id", "name", "description")),
    *(_POSITION, _PLACED, "event_id", "event_attributes.event_id"),
)
_SCHEMA = {**dict.fromkeys(_TEXTS, pl.String), **dict.fromkeys(_HITS, pl.List(pl.String))}
_ACTIONS = {
    "impression": ("impression",),
    "view": ("view", "watch", "item_view", "product_view", "view_item", "page_view"),
    "click": ("click", "item_click", "product_click"),
    "cart": ("add_to_cart", "cart", "addtocart", "product_add_to_cart"),
    "purchase": ("purchase", "product_purchase", "buy", "order"),
    "like": ("like",),
    "rating": ("rating", "rate"),
    "dwell": ("dwell",),
}
"""{action: the names that logs give it}. A hover or a click beside the list is neither view nor click."""
_ACTION_OF = {name: action for action, names in _ACTIONS.items() for name in names}
_TABBED = re.compile(r"[^\s{}\"]+\t\{")
_ACT = re.compile(r'\s*\{\s*"(index|create|delete|update)"\s*:\s*\{[^{}]*\}\s*\}\s*')
_BARE = r'"position"\s*:\s*"?(-?\d+(?:\.\d+)?)"?\s*([,}])'
"""A position that is a number, where the schema has an object with `ordinal`; within a text its first quote
would follow a backslash, so that no text is changed."""


def _claims(source: Source) -> str | None:
    if source.kind == "parquet":
        return _known(source.columns)
    if source.kind == "json":
        answered = next(_answered(source), None)
        named = answered and _known(_keys(answered[1]))
        return named and f"search hits whose _source has {named}"
    first = source.head[0]
    if _TABBED.match(first):
        named = _known(_keys(first.partition("\t")[2]))
        return named and f"an index, a tab and an object with {named}"
    if _ACT.fullmatch(first) and len(source.head) > 1:
        named = _known(_keys(source.head[1]))
        return named and f"a _bulk body whose documents have {named}"
    if source.kind == "jsonl" and source.has("_source"):
        named = _known(_keys(first))
        return named and f"documents in _source with {named}"
    return _known(source.columns)


def _keys(line: str) -> list[str]:
    # Of a line that may be long, and of which only the names are wanted.
    return re.findall(r'"([^"\\]+)"\s*:', line[:100_000])


def _known(columns: list[str]) -> str | None:
    there = set(columns)
    event = "event_attributes" in there or any(name.startswith("event_attributes.") for name in there)
    if "action_name" in there and (event or there & {"query_id", "user_query", "message_type"}):
        return "columns action_name, " + ("event_attributes" if event else "query_id or user_query")
    hits = next((name for name in _HITS if name in there), "")
    if "query_id" in there and (hits or "user_query" in there):
        return f"columns query_id, {hits or 'user_query'}"
    return None


def _read(source: Source, ledger: Ledger) -> Chunks:
    names = json.loads(source.head[0]) if source.kind == "jsonl" else source.columns
    events = pl.lit("action_name" in names)
    for frame in _frames(source):
        event = pl.col("action_name").is_not_null()
        # Without an action and an object it is a query, but among events only if it has what queries have.
        told = pl.any_horizontal(pl.col("query_response_id", *_HITS).is_not_null())
        bare = pl.all_horizontal(pl.col(f"{_OBJECT}.object_id", f"{_OBJECT}.internal_id").is_null())
        query = bare & (told | ~events)
        frame = kept(frame, event | query, "missing_action", "query_id", source, ledger)
        frame = _plain(frame, source, ledger)
        yield from _events(frame.filter(event))
        yield from _queries(frame.filter(~event))


def _frames(source: Source) -> Iterator[pl.DataFrame]:
    if source.kind == "json":
        yield from of_objects(source, _answered(source), _SCHEMA, _with_objects)
        return
    first = source.head[0] if source.kind != "parquet" else ""
    lines = source.lines()
    if _TABBED.match(first):
        lines = _untabbed(source)
    elif _ACT.fullmatch(first):
        lines = _documents(source)
    elif source.kind != "jsonl":
        yield from records(source, _SCHEMA)
        return
    elif source.has("_source"):
        inside = {f"_source.{name}": dtype for name, dtype in _SCHEMA.items()}
        for frame in of_objects(source, lines, inside, _with_objects):
            yield frame.rename({name: name.removeprefix("_source.") for name in inside})
        return
    yield from of_objects(source, lines, _SCHEMA, _with_objects)


def _with_objects(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(_BARE, '"position":{"ordinal":${1}}${2}')


def _untabbed(source: Source) -> Iterator[tuple[int, str]]:
    for number, line in source.lines():
        _, tab, text = line.partition("\t")
        if not tab:
            raise BadInput(f"{source.path}, line {number}: no tab between index and object: the file was cut")
        yield number, text


def _answered(source: Source) -> Iterator[tuple[int, str]]:
    """The documents of an answer of `_search`, numbered by hit."""
    document = source.document()
    found = document.get("hits") if isinstance(document, dict) else None
    hits = found.get("hits") if isinstance(found, dict) else None
    for number, hit in enumerate(hits if isinstance(hits, list) else [], start=1):
        if isinstance(hit, dict) and isinstance(hit.get("_source"), dict):
            yield number, json.dumps(hit["_source"])


def _documents(source: Source) -> Iterator[tuple[int, str]]:
    """The documents of a `_bulk` body: each follows the line that says what to do with it."""
    act, number = "", 0
    for number, line in source.lines():
        if act in ("index", "create"):
            yield number, line
            act = ""
            continue
        found = _ACT.fullmatch(line)
        if not found or found[1] == "update":
            raise BadInput(
                f"{source.path}, line {number}: expected an action line such as "
                f'{{"index": {{}}}} of a _bulk body, found {line[:60]!r}'
            )
        act = "" if found[1] == "delete" else found[1]
    if act:
        raise BadInput(f"{source.path}, line {number}: no document follows the action: the file was cut")


def _plain(frame: pl.DataFrame, source: Source, ledger: Ledger) -> pl.DataFrame:
    """The columns that queries and events share, in canonical names and dtypes."""
    hits = pl.coalesce(pl.when(pl.col(name).list.len() > 0).then(pl.col(name)) for name in _HITS)
    return frame.select(
        "action_name",
        "query_id",
        "row",
        event_id=pl.coalesce("event_id", "event_attributes.event_id"),
        placed=numbers(frame[_PLACED]),
        timestamp=moment(frame, "timestamp", source, ledger),
        query=pl.col("user_query"),
        user_id=pl.coalesce("user_id", "client_id"),
        session_id=pl.coalesce("session_id", "event_attributes.session_id"),
        item_id=pl.coalesce(f"{_OBJECT}.object_id", f"{_OBJECT}.internal_id"),
        text=joined_text(f"{_OBJECT}.name", f"{_OBJECT}.description"),
        position=numbers(frame[_POSITION]).cast(pl.Int32, strict=False),
        hits=hits,
        source=pl.lit(source.name),
    )


def _queries(frame: pl.DataFrame) -> Chunks:
    if not len(frame):
        return
    seen = ["query_id", "query", "user_id", "session_id", "timestamp", "source", "row"]
    yield "queries", frame.select(seen)
    listed = frame.filter(pl.col("hits").is_not_null())
    # The empty hit of a cut list has no item, but its place counts.
    position = pl.col("hits").list.eval(pl.int_range(1, pl.len() + 1, dtype=pl.Int32)).alias("position")
    shown = listed.select(*seen, position, item_id="hits").explode("item_id", "position")
    if len(shown):
        yield "impressions", shown


def _events(frame: pl.DataFrame) -> Chunks:
    if not len(frame):
        return
    name = pl.col("action_name").str.to_lowercase().str.replace_all(r"[\s-]+", "_")
    action = name.replace_strict(_ACTION_OF, default="other", return_dtype=pl.String)
    frame = frame.with_columns(action=action)
    seen = ["query_id", "query", "item_id", "position", "user_id", "session_id", "timestamp", "source", "row"]
    shown = frame.filter(pl.col("action") == "impression")
    if len(shown):
        drawn = ["placed"] if shown["placed"].is_not_null().any() else []
        named = {"event_id": "impression_id", "placed": "feature.placement_propensity"}
        yield "impressions", shown.select("event_id", *seen, *drawn).rename(named, strict=False)
    done = frame.filter(pl.col("action") != "impression")
    original = pl.when(pl.col("action") == "other").then("action_name")
    if len(done):
        yield "events", done.select("event_id", "action", *seen, original.alias("attribute.action_name"))
    items = frame.filter(pl.col("item_id").is_not_null() & pl.col("text").is_not_null())
    if len(items):
        yield "items", items.select("item_id", "text", "source", "row").unique("item_id", maintain_order=True)


UBI = Reader("ubi", "OpenSearch UBI: queries and events (jsonl, _bulk, csv, parquet)", _claims, _read)
