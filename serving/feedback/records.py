"""What is kept: lists as they were shown and what was done to their items, as UBI 1.3 events, one a line.

Schema: https://github.com/o19s/ubi, event.schema.json 1.3.0. A list is an `impression` a shown item, which
says all that `ingest` needs of it: query, text of the item, position. It has no UBI query record: its list of
hits would count every item a second time.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from assay.components.core.errors import BadInput

ACTIONS = ("impression", "view", "click", "add_to_cart", "purchase", "like")
"""Names of actions, as UBI and `ingest` know them."""
LONGEST_TEXT = 4000
"""Characters of a text that are kept: `ingest` cuts there."""
LONGEST_ID = 100
"""Characters of ids of queries, events, users and sessions, as UBI has them."""
DEEPEST = 32_767
_APPLICATION = "assay"

Who = Callable[[str | None], str | None]
"""The id of a user or session -> what is written of it; None is nothing."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An item of a list.

    Attributes:
        item_id: Its id.
        text: Its text, as the ranker was given it.
        score: The ranker's.
        propensity: Chance that it stands where it does, of `shown_order`; 1 where nothing is random.
    """

    item_id: str
    text: str
    score: float
    propensity: float = 1.0


@dataclass(frozen=True, slots=True)
class Served:
    """A list as it was answered.

    Attributes:
        query_id: Of `new_query_id`, or the caller's; the caller gets it with the answer.
        context: What was asked for.
        model: Name of the version that ranked it.
        version: Its number.
        items: In the order shown.
        user_id: Who asked, if the caller said so.
        session_id: In which session.
    """

    query_id: str
    context: str
    model: str
    version: str
    items: Sequence[Shown]
    user_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something done to an item.

    Attributes:
        action: One of `ACTIONS`.
        item_id: The item.
        query_id: Of the list; None where it is not known, then user or session tell which it was.
        event_id: The caller's, the same when it is sent again. None makes one of the content, so that what is
            the same in all that follows is one event.
        position: From 1.
        timestamp: Seconds since 1970; None is now.
        user_id: Who.
        session_id: In which session.
        context: What was asked for, of an impression of a list that this service did not serve.
        item: Text of the item, of the same.

    Raises:
        BadInput: An action is not known, an id is empty or too long, a position or time cannot be; or nothing
            says which list it belongs to, or whether it was sent before.
    """

    action: str
    item_id: str
    query_id: str | None = None
    event_id: str | None = None
    position: int | None = None
    timestamp: float | None = None
    user_id: str | None = None
    session_id: str | None = None
    context: str | None = None
    item: str | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise BadInput(f"event: action is none of {', '.join(ACTIONS)}")
        if not self.item_id.strip():
            raise BadInput("event: item_id is empty")
        for name in ("query_id", "event_id", "user_id", "session_id"):
            value = getattr(self, name)
            if value is not None and not (value.strip() and len(value) <= LONGEST_ID):
                raise BadInput(f"event: {name} is empty, or longer than {LONGEST_ID} characters")
        if self.position is not None and not 1 <= self.position <= DEEPEST:
            raise BadInput(f"event: position is not from 1 to {DEEPEST}")
        if self.timestamp is not None and not 0 < self.timestamp < 1e11:
            raise BadInput("event: timestamp is not in seconds since 1970")
        if self.query_id is None:
            if self.user_id is None and self.session_id is None:
                raise BadInput("event: give query_id, or the session_id or user_id that saw its list")
            if self.event_id is None and self.timestamp is None:
                raise BadInput(
                    "event: without query_id give event_id or timestamp: it must be told from others"
                )


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of events: all are kept.

    Attributes:
        accepted: That were new.
        duplicates: That were known, by their ids, and are kept once.
    """

    accepted: int
    duplicates: int


def new_query_id() -> str:
    """An id that nobody else has, and that says when it was made (a UUID of version 7, RFC 9562)."""
    random = int.from_bytes(os.urandom(10))
    value = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | (random >> 64 & 0xFFF) << 64 | 0x2 << 62
    return str(uuid.UUID(int=value | random & (1 << 62) - 1))


def served_at(query_id: str | None) -> int | None:
    """Milliseconds since 1970 at which a query id was made; None where it does not say so."""
    try:
        known = uuid.UUID(query_id) if query_id and len(query_id) == 36 else None
    except ValueError:
        return None
    return known.int >> 80 if known is not None and known.version == 7 else None


def id_of(event: Event, who: Who) -> str:
    """The caller's id, or one of the content; of people it holds what is written of them and no more.

    An item is shown once in a list: all impressions of a list have the id of its query, so that one that a
    page reports is the one that was served.
    """
    if event.action == "impression" and event.query_id is not None:
        return event.query_id
    if event.event_id is not None:
        return event.event_id
    content = (
        *(event.query_id, event.action, event.item_id, event.position),
        *(event.timestamp, who(event.user_id), who(event.session_id)),
    )
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


def lines_of_list(served: Served, now: int, who: Who) -> bytes:
    """A list as lines of JSON, one an item.

    Args:
        served: The list.
        now: Milliseconds since 1970.
        who: What is written of people.
    """
    made = served_at(served.query_id)
    head = _line(
        action_name="impression",
        query_id=served.query_id,
        user_id=who(served.user_id),
        session_id=who(served.session_id),
        # No click, whose time is held to that of the query id, may lie before its list.
        timestamp=_iso(made if made is not None and made <= now else now),
        user_query=served.context[:LONGEST_TEXT],
    )[:-1]
    model = f"{served.model}/{served.version}"
    lines = []
    for place, item in enumerate(served.items, start=1):
        attributes = {
            "event_id": served.query_id,
            "object": {"object_id": item.item_id, "name": item.text[:LONGEST_TEXT]},
            "position": {"ordinal": place},
            "placement_propensity": item.propensity,
            "model": model,
        }
        if math.isfinite(item.score):
            attributes["score"] = item.score
        lines.append(f'{head},"event_attributes":{_json(attributes)}}}\n')
    return _bytes("".join(lines))


def line_of_event(event: Event, event_id: str, now: int, who: Who) -> bytes:
    """An event as a line of JSON.

    A clock that is slow, or fast, would put a click before its list, or beyond the time in which it counts:
    it is held between the making of the query id, where that says so, and now.

    Args:
        event: The event.
        event_id: Of `id_of`.
        now: Milliseconds since 1970.
        who: What is written of people.
    """
    when = now if event.timestamp is None else min(int(event.timestamp * 1000), now)
    made = served_at(event.query_id)
    thing = {"object_id": event.item_id}
    attributes: dict[str, object] = {"event_id": event_id, "object": thing}
    if event.item is not None:
        thing["name"] = event.item[:LONGEST_TEXT]
    if event.position is not None:
        attributes["position"] = {"ordinal": event.position}
    line = _line(
        action_name=event.action,
        query_id=event.query_id,
        user_id=who(event.user_id),
        session_id=who(event.session_id),
        timestamp=_iso(when if made is None or made > now else max(when, made)),
        user_query=None if event.context is None else event.context[:LONGEST_TEXT],
        event_attributes=attributes,
    )
    return _bytes(f"{line}\n")


def _line(**fields: object) -> str:
    given = {name: value for name, value in fields.items() if value is not None}
    return _json({"application": _APPLICATION} | given)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _bytes(text: str) -> bytes:
    # Half of a surrogate pair is no text: it must not make a line that cannot be written.
    return text.encode("utf-8", "replace")


def _iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
