"""Metarank events: items, users, rankings, and interactions with or without a ranking.

Schema: https://docs.metarank.ai/reference/event-schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.chunks import moment, number
from assay.components.ingest.readers.objects import json_object
from assay.components.ingest.readers.reader import Chunks, Reader
from assay.components.ingest.readers.sources import ROWS, Source

_EVENTS = ("item", "user", "ranking", "interaction")
_QUERY = ("query", "search_query", "q")
_ITEM = {
    "title": ("title", "name"),
    "brand": ("brand",),
    "colour": ("color", "colour"),
    "description": ("description", "overview", "text"),
    "category": ("category", "categories", "genre", "genres"),
    "size": ("size",),
    "type": ("type",),
    "price": ("price",),
}
"""{what it is: the names of a field that holds it}; title to description, in this order, are the text."""
_TEXT = ("title", "brand", "colour", "description")
_PLACE = {name: place for place, names in _ITEM.items() for name in names}
_ACTIONS = {
    **{name: name for name in ("impression", "view", "click", "cart", "purchase", "like", "rating", "dwell")},
    "add_to_cart": "cart",
    "addtocart": "cart",
    "buy": "purchase",
    "order": "purchase",
    "rate": "rating",
}
_VALUES = {"rating": "rating", "dwell": "dwell", "purchase": "price", "cart": "price"}
"""{action: the field that is its value}."""


def _claims(source: Source) -> str | None:
    if source.kind != "jsonl" or not source.has("event"):
        return None
    first = json_object(source.path, 1, source.head[0])
    kind = first.get("event")
    needed = {"item": "item", "user": "user", "ranking": "items", "interaction": "type"}
    if isinstance(kind, str) and needed.get(kind) in first:
        return f"objects of event {kind} with {needed[kind]}"
    return None


def _read(source: Source, ledger: Ledger) -> Chunks:
    """Fields may hold any value, so objects are read one by one, and their rows gathered into columns."""
    gathered: dict[str, list[dict[str, Any]]] = {}
    users = 0
    for line, event in source.objects():
        kind = event.get("event")
        if kind not in _EVENTS:
            ledger.drop("unknown_record", 1, [f"{source.name}, row {line}: event {kind!r}"])
        elif kind == "user":
            users += 1
        else:
            for name, row in _rows(source, line, event):
                gathered.setdefault(name, []).append(row | {"row": line})
        if any(len(rows) >= ROWS for rows in gathered.values()):
            yield from _tables(gathered, source, ledger)
            gathered = {}
    ledger.note("user_record", users)
    yield from _tables(gathered, source, ledger)


def _rows(source: Source, line: int, event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    fields = _fields(source, line, event)
    seen = {
        "user_id": _text(event.get("user")),
        "session_id": _text(event.get("session")),
        "timestamp": _text(event.get("timestamp")),
    }
    if event["event"] == "item":
        yield "items", _item(event, fields)
    elif event["event"] == "interaction":
        name = _text(event.get("type")) or ""
        action = _ACTIONS.get(name.lower().replace("-", "_").replace(" ", "_"), "other")
        yield (
            "events",
            seen
            | {
                "event_id": _text(event.get("id")),
                "action": action,
                "query_id": _text(event.get("ranking")),
                "item_id": _text(event.get("item")),
                "value": _text(fields.get(_VALUES.get(action, "value"), fields.get("value"))),
                "attribute.action_name": name if action == "other" else None,
            },
        )
    else:
        query = next((_text(fields[name]) for name in _QUERY if name in fields), None)
        asked = seen | {"query_id": _text(event.get("id")), "query": query}
        yield "queries", asked
        items = event.get("items")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise BadInput(f"{source.path}, line {line}: items of a ranking must be a list of objects")
        for position, item in enumerate(items, start=1):
            item_id = _text(item.get("id"))
            # Written plain, or among the fields.
            given = {"relevancy": item.get("relevancy")} | _fields(source, line, item)
            known = {f"feature.{name}": float(value) for name, value in given.items() if _is_number(value)}
            yield "impressions", asked | {"item_id": item_id, "position": position} | known
            if item.get("label") is not None:
                judged = {key: asked[key] for key in ("query_id", "query")}
                yield "judgments", judged | {"item_id": item_id, "grade": _text(item["label"])}


def _item(event: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    placed: dict[str, Any] = {}
    row: dict[str, Any] = {"item_id": _text(event.get("item"))}
    for name, value in fields.items():
        place = _PLACE.get(name)
        if place and place not in placed:
            placed[place] = _text(value)
        elif _is_number(value):
            row[f"feature.{name}"] = float(value)
        else:
            row[f"attribute.{name}"] = _text(value)
    row["text"] = " ".join(placed[place] for place in _TEXT if placed.get(place)) or None
    return row | {place: placed[place] for place in placed if place not in ("title", "description")}


def _fields(source: Source, line: int, event: dict[str, Any]) -> dict[str, Any]:
    fields = event.get("fields") or []
    try:
        return {field["name"]: field.get("value") for field in fields}
    except (TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"{source.path}, line {line}: fields must be a list of {{name, value}}") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _text(value: Any) -> str | None:
    """A value as text: a whole number without its fraction, a list with commas, "" as nothing."""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value))) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value == "":
        return None
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _tables(gathered: dict[str, list[dict[str, Any]]], source: Source, ledger: Ledger) -> Chunks:
    for name, rows in gathered.items():
        names = dict.fromkeys(name for row in rows for name in row)
        floats = {name for name in names if name.startswith("feature.")}
        frame = pl.DataFrame(
            {name: pl.Series(name, [row.get(name) for row in rows], _dtype(name, floats)) for name in names}
        )
        for column in ("grade", "value", "price"):
            if column in frame:
                frame = frame.with_columns(number(frame, column, source, ledger))
        if "timestamp" in frame:
            frame = frame.with_columns(moment(frame, "timestamp", source, ledger))
        yield name, frame.with_columns(source=pl.lit(source.name))


def _dtype(name: str, floats: set[str]) -> Any:
    return pl.Float64 if name in floats else pl.UInt32 if name in ("row", "position") else pl.String


METARANK = Reader("metarank", "Metarank events (jsonl)", _claims, _read)
