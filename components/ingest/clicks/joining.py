"""Events joined to the impression as it was shown: what somebody did, beside what he was offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import EXAMPLES, Ledger
from assay.components.ingest.tables import ACTIONS

KEYS = ("query_id", "session_id", "user_id")
"""What tells whose impression an event can belong to: the first of them that the event names, no other."""
JOINED = "joined_to_impression"
_ORDER = ["timestamp", "position", "impression_id", "source", "row"]
_NUMBER, _SHOWN = "__event", "__impression"


@dataclass(frozen=True)
class Attribution:
    """Which impression an event belongs to: the last one of its item before it, where that is recent enough.

    Attributes:
        window: Seconds from the impression within which an event counts; its end is within it.
        windows: {action: seconds} of actions with a window of their own, such as purchases.
        clicks: Actions that are a click. Shops for which `view` is the page of one item add it here.

    Raises:
        BadInput: A window is not above 0, or an action has another name.
    """

    window: float = 1800.0
    windows: Mapping[str, float] = field(default_factory=dict)
    clicks: tuple[str, ...] = ("click",)

    def __post_init__(self) -> None:
        for name, seconds in {"window": self.window, **self.windows}.items():
            if not 0 < seconds < float("inf"):
                raise BadInput(f"attribution: {name} {seconds}: write seconds, above 0")
        unknown = sorted({*self.windows, *self.clicks} - set(ACTIONS))
        if unknown:
            raise BadInput(f"attribution: no action {', '.join(unknown)}; known: {', '.join(ACTIONS)}")


def join(
    impressions: pl.DataFrame, events: pl.DataFrame, ledger: Ledger, rule: Attribution | None = None
) -> pl.DataFrame:
    """Impressions, each with what was done to it.

    An event that names its search (`query_id`) belongs to that search or to none; one that does not, to its
    session; one without a session, to its user. Where it, or all impressions that it can belong to, have no
    time, one that names its search is joined to the last of them, whatever the window; others are not.
    Neither the order of impressions nor that of events matters.

    Args:
        impressions: Table `impressions`.
        events: Table `events`.
        ledger: Every event is counted once as dropped: `joined_to_impression`, or else
            `action_without_label` (no click, cart, purchase, dwell or rating), `event_without_item`,
            `click_without_impression` (of any action: its item was not shown there),
            `event_before_impression`, `outside_window`, `event_without_time`. Several events of one kind on
            one impression are one; `clicked_again` notes them.
        rule: Attribution; half an hour if None.

    Returns:
        The impressions, in their order, with `clicked` (0 or 1, or what the log gave where that is more;
        null where neither it nor an event says), `carted`, `purchased` (0 or 1), `dwell` (seconds, the
        longest) and `rating` (the last), null where there is none.
    """
    rule = rule or Attribution()
    shown = impressions.with_row_index(_SHOWN)
    # A number by content, so that ties are broken alike whatever the order of the file.
    done = events.sort("timestamp", "event_id", "action", "item_id", "source", "row").with_row_index(_NUMBER)
    kinds = {**dict.fromkeys(rule.clicks, "click"), "cart": "cart", "purchase": "purchase"}
    kinds |= {"dwell": "dwell", "rating": "rating"}
    usable = pl.col("action").is_in(list(kinds)).fill_null(False)
    why = [
        _reason(done.filter(~usable), "action_without_label"),
        _reason(done.filter(usable & pl.col("item_id").is_null()), "event_without_item"),
    ]
    done = done.filter(usable & pl.col("item_id").is_not_null())
    seconds = pl.col("action").replace_strict(
        dict(rule.windows), default=rule.window, return_dtype=pl.Float64
    )
    done = done.with_columns(__window=seconds)
    found = []
    for key in KEYS:
        named = done.filter(pl.col(key).is_not_null())
        done = done.filter(pl.col(key).is_null())
        hits, misses = _matched(shown, named, key)
        found.append(hits)
        why += misses
    why.append(_reason(done, "click_without_impression"))
    hits = pl.concat(found)
    for reason, rows in pl.concat([*why, _reason(hits, JOINED)]).group_by("reason", maintain_order=True):
        told = [] if reason[0] == JOINED else rows.sort(_NUMBER)["told"].head(EXAMPLES).to_list()
        ledger.drop(str(reason[0]), len(rows), told)
    return _with_behaviour(shown, hits, kinds, ledger, len(events) > 0)


def _matched(shown: pl.DataFrame, named: pl.DataFrame, key: str) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Events with the impression they belong to, and why others have none."""
    by = [key, "item_id"]
    offered = shown.filter(pl.col(key).is_not_null() & pl.col("item_id").is_not_null()).select(
        *by, *_rest(by)
    )
    offered = offered.sort(_ORDER, nulls_last=False)
    pairs = offered.group_by(by).agg(
        __last=pl.col(_SHOWN).last(), __timed=pl.col("timestamp").is_not_null().any()
    )
    named = named.join(pairs, on=by, how="left", maintain_order="left")
    why = [_reason(named.filter(pl.col("__last").is_null()), "click_without_impression")]
    named = named.filter(pl.col("__last").is_not_null())
    timeless = pl.col("timestamp").is_null() | ~pl.col("__timed")
    blind, timed = named.filter(timeless), named.filter(~timeless)
    if key == "query_id":
        blind = blind.with_columns(pl.col("__last").alias(_SHOWN))
    else:
        why.append(_reason(blind, "event_without_time"))
        blind = blind.head(0).with_columns(pl.lit(None, pl.UInt32).alias(_SHOWN))
    before = timed.sort("timestamp", _NUMBER).join_asof(
        offered.filter(pl.col("timestamp").is_not_null())
        .select(*by, _SHOWN, "timestamp", __when="timestamp"),
        on="timestamp", by=by, strategy="backward", check_sortedness=False,
    )  # fmt: skip
    late = (pl.col("timestamp") - pl.col("__when")).dt.total_microseconds() > pl.col("__window") * 1e6
    early = pl.col("__when").is_null()
    why.append(_reason(before.filter(early), "event_before_impression"))
    why.append(_reason(before.filter(~early & late), "outside_window"))
    kept = [_NUMBER, _SHOWN, "action", "value", "timestamp", "event_id", "item_id"]
    return pl.concat([blind.select(kept), before.filter(~early & ~late).select(kept)]), why


def _rest(by: list[str]) -> list[str]:
    return [_SHOWN, *(name for name in _ORDER if name not in by)]


def _reason(rows: pl.DataFrame, reason: str) -> pl.DataFrame:
    """Number, reason and a line for the ledger of each event."""
    told = pl.format(
        "{} of item {}", pl.coalesce("event_id", pl.lit("event")), pl.coalesce("item_id", pl.lit("none"))
    )
    return rows.select(_NUMBER, reason=pl.lit(reason), told=told)


def _with_behaviour(
    shown: pl.DataFrame, hits: pl.DataFrame, kinds: Mapping[str, str], ledger: Ledger, told: bool
) -> pl.DataFrame:
    hits = hits.with_columns(kind=pl.col("action").replace_strict(dict(kinds), return_dtype=pl.String))
    of = {kind: pl.col("kind") == kind for kind in ("click", "cart", "purchase", "dwell", "rating")}
    done = (
        hits.sort("timestamp", _NUMBER)
        .group_by(_SHOWN)
        .agg(
            __clicks=of["click"].sum(),
            carted=of["cart"].any().cast(pl.Float64),
            purchased=of["purchase"].any().cast(pl.Float64),
            dwell=pl.col("value").filter(of["dwell"]).max(),
            rating=pl.col("value").filter(of["rating"]).last(),
        )
    )
    again = done.filter(pl.col("__clicks") > 1)
    ledger.note("clicked_again", int((again["__clicks"] - 1).sum()) if len(again) else 0)
    rest = shown.drop("carted", "purchased", "dwell", "rating", strict=False)
    joined = rest.join(done, on=_SHOWN, how="left", maintain_order="left")
    # Without any event nothing says that what is null was not clicked.
    clicked = pl.max_horizontal("clicked", (pl.col("__clicks").fill_null(0) > 0).cast(pl.Float64))
    return joined.with_columns(
        clicked if told else pl.col("clicked"), pl.col("carted", "purchased").fill_null(0.0)
    ).drop(_SHOWN, "__clicks")
