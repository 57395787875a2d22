"""A shop's own flat file, by its columns' roles -> a canonical table, and one of the items in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import polars as pl
from assay.components.core.errors import BadInput
from assay.components.ingest.attributes import extras
from assay.components.ingest.columns import as_text, completed, numbers, text_of
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.readers.files import FORMATS, read_chunks, read_table
from assay.components.ingest.readers.pairs import splits
from assay.components.ingest.readers.search_events import times
from assay.components.ingest.tables import ACTIONS, Tables, canonical

_SEEN = {
    "user": ("user_id", "user", "visitorid", "customer_id", "reviewerID"),
    "session": ("session_id", "session", "user_session"),
    "timestamp": ("timestamp", "time", "event_time", "date"),
}
_ITEM = {
    "item_id": ("item_id", "product_id", "parent_asin", "asin", "itemid"),
    "segment": ("segment",),
    "category": ("category", "product_category", "class_name"),
    "brand": ("brand", "product_brand"),
    "price": ("price",),
}
_TITLE = {"item": ("title", "product_title", "item_title", "item")}
USUAL: dict[str, dict[str, tuple[str, ...]]] = {
    "events": _SEEN
    | _ITEM
    | _TITLE
    | {"action": ("event", "event_type", "action", "action_name"), "label": ("rating",), "id": ("event_id",)},
    # The title of a review is its own; that of its product is named with query.
    "reviews": _SEEN
    | _ITEM
    | _TITLE
    | {
        "text": ("review_text", "text", "reviewText", "review"),
        "label": ("rating", "stars", "overall", "sentiment", "label"),
        "helpful": ("helpful", "helpful_vote", "positive_feedback_count"),
        "votes": ("votes", "total_votes"),
        "id": ("review_id",),
    },
    "impressions": _SEEN
    | _ITEM
    | _TITLE
    | {
        "query": ("context", "placement"),
        "click": ("click", "clicked"),
        "position": ("position", "rank"),
        "id": ("impression_id",),
    },
}
"""{canonical table: {role: usual names of its column}}."""
NEEDED = {"events": ("user", "item_id"), "reviews": ("text",), "impressions": ("query", "item", "click")}
_ACTIONS = {
    **{name: name for name in ACTIONS},
    **dict.fromkeys(("add_to_cart", "addtocart", "basket", "carts"), "cart"),
    **dict.fromkeys(("transaction", "buy", "order", "orders", "purchased"), "purchase"),
    **dict.fromkeys(("clicks", "item_click"), "click"),
    **dict.fromkeys(("views", "page_view", "detail_view"), "view"),
}


def read_log(path: str | Path) -> tuple[Iterator[pd.DataFrame], str]:
    """A file; or a folder of a log and a file `items.*`, joined on the columns that both have.

    Returns:
        The table, a chunk at a time, its index going on, and the name of the log's file.

    Raises:
        BadInput: The folder holds several logs, or none, or items that share no column with it.
    """
    path = Path(path)
    if not path.is_dir():
        return read_chunks(path), path.name
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in FORMATS)
    items = [file for file in files if file.stem in ("items", "products")]
    logs = [file for file in files if file not in items]
    if len(logs) != 1 or len(items) > 1:
        found = ", ".join(file.name for file in files) or "nothing"
        raise BadInput(f"{path}: expected one log, and items.* beside it, found {found}; name one file")
    log = read_chunks(logs[0])
    return _joined(log, logs[0], items[0]) if items else log, logs[0].name


def _joined(log: Iterator[pd.DataFrame], file: Path, items: Path) -> Iterator[pd.DataFrame]:
    about, keys = read_table(items), list[str]()
    for chunk in log:
        if not keys:
            keys = [name for name in about.columns if name in chunk.columns]
            if not keys:
                raise BadInput(f"{items}: has no column that {file.name} has; give both an item_id")
            # As text, so that the number 12 of one file is the text 12 of the other.
            about = about.assign(**{name: as_text(about[name]) for name in keys}).drop_duplicates(keys)
        chunk = chunk.assign(**{name: as_text(chunk[name]) for name in keys})
        yield chunk.merge(about, on=keys, how="left").set_axis(chunk.index)


def flat_tables(
    frame: pd.DataFrame,
    named: dict[str, list[str]],
    table: str,
    source: str,
    ledger: Ledger,
    split_column: str = "",
) -> tuple[Tables, dict[str, list[str]]]:
    """One canonical table of a flat file, and `items` where it says anything of them.

    Roles: `query` is what an ad is shown for, or what a review is of; several columns are written out with
    their names ("device phone, page garden"), and so are those of an ad's `item`.

    Args:
        frame: A chunk, or with a column of `order` all, of what `read_log` gives.
        named: Columns by role, as the user named them.
        table: `events`, `reviews` or `impressions`.
        source: Name of the file.
        ledger: Gets `rows_in`.
        split_column: Column that names each row's split, if any.

    Returns:
        The tables, and the columns by role.

    Raises:
        BadInput: A column that is needed is not there, or cannot be read.
    """
    columns = completed([str(c) for c in frame.columns], named, USUAL[table])
    if table == "reviews" and "item" not in named and columns.get("item") == columns.get("query"):
        # The title of the product, not of the review.
        del columns["item"]
    for role in NEEDED[table]:
        if role not in columns:
            there = ", ".join(map(str, frame.columns))
            raise BadInput(
                f"no column for {role}; name one with --columns {role}=COLUMN. The file has: {there}"
            )
    ledger.rows_in += len(frame)
    row = pd.Series(frame.index + 1)
    frame = frame.reset_index(drop=True)
    if "order" in columns:
        # Its rows are numbered in that order, which is then the order of the log.
        frame = frame.iloc[numbers(frame[columns["order"][0]]).argsort(kind="stable")].reset_index(drop=True)

    def text(role: str) -> pl.Series | None:
        return _worded(text_of(frame, columns[role])) if role in columns else None

    def number(role: str) -> pd.Series | None:
        return numbers(frame[columns[role][0]]) if role in columns else None

    rendered = text if table != "impressions" else lambda role: _named(frame, columns.get(role, []))
    more = extras(frame, columns)
    item_id = text("item_id")
    cells: dict[str, pd.Series | pl.Series | None] = {
        "item_id": item_id if item_id is not None or table == "reviews" else rendered("item"),
        "user_id": text("user"),
        "session_id": text("session"),
        "timestamp": times(frame[columns["timestamp"][0]]) if "timestamp" in columns else None,
    }
    if table == "events":
        action = text("action")
        cells |= {"event_id": text("id"), "value": number("label"), "action": _actions(action, row, ledger)}
    elif table == "reviews":
        cells |= {
            "review_id": text("id"), "title": text("item"), "text": text("text"), "rating": number("label"),
            "helpful": number("helpful"), "votes": number("votes"), "category": text("category"),
        }  # fmt: skip
    else:
        position = number("position")
        cells |= {
            "impression_id": text("id"),
            "context": rendered("query"),
            "clicked": number("click"),
            "position": None if position is None else position.where(position.between(1, 32767)).round(),
        }
    cells |= {f"feature.{name}": numbers(frame[name]) for name in columns.get("feature", [])}
    if table != "events":
        cells |= {f"feature.{name}": more[name] for name in ("price", "dwell") if name in more}
    cells |= {"attribute.segment": text("segment"), "attribute.split": _splits(frame, split_column)}
    found = {table: _table(table, cells, row, source)}
    title = text("query") if table == "reviews" else rendered("item")
    if cells["item_id"] is not None and title is not None:
        about: dict[str, pd.Series | pl.Series | None] = {"item_id": cells["item_id"], "text": title}
        about |= {name: more.get(name) for name in ("category", "brand", "colour", "size", "type", "price")}
        found["items"] = _table("items", about, row, source).unique(
            "item_id", keep="first", maintain_order=True
        )
    return found, columns


def _splits(frame: pd.DataFrame, column: str) -> pd.Series | None:
    return splits(frame, column) if column else None


def _worded(text: pd.Series) -> pl.Series:
    """Texts as they are, null where there are no words."""
    said = pl.Series(pl.from_pandas(text.astype("str")))
    return said.set(said.str.strip_chars() == "", None)


def _named(frame: pd.DataFrame, names: list[str]) -> pl.Series | None:
    """One column as it is; several as "name value, name value", without those that are empty."""
    if not names:
        return None
    if len(names) == 1:
        return _worded(as_text(frame[names[0]]))
    parts = pl.DataFrame([_worded(as_text(frame[name])).alias(name) for name in names])
    words = (pl.lit(f"{name} ") + pl.col(name).str.strip_chars() for name in names)
    said = parts.select(pl.concat_str(words, separator=", ", ignore_nulls=True)).to_series()
    return said.set(said == "", None)


def _actions(action: pl.Series | None, row: pd.Series, ledger: Ledger) -> pl.Series:
    """What was done, by the names of `ACTIONS`; a log that does not say holds views."""
    if action is None:
        return pl.repeat("view", len(row), eager=True)
    known = action.str.to_lowercase().replace_strict(_ACTIONS, default=None, return_dtype=pl.String)
    strange = action.filter(known.is_null())
    ledger.note("unknown_action", len(strange), strange.unique(maintain_order=True).head(20).to_list())
    return known.fill_null("other")


def _table(
    name: str, cells: dict[str, pd.Series | pl.Series | None], row: pd.Series, source: str
) -> pl.DataFrame:
    frame = pl.DataFrame({key: _cell(value) for key, value in cells.items() if value is not None})
    return canonical(name, frame.with_columns(row=pl.Series(row.to_numpy()), source=pl.lit(source)))


def _cell(value: pd.Series | pl.Series) -> pl.Series:
    """Nulls as polars has them: NaN is a number there."""
    return value if isinstance(value, pl.Series) else pl.Series(pl.from_pandas(value, nan_to_null=True))
