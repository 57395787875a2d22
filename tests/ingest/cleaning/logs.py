"""A clean log to be spoilt, 40 searches of 5 items each, by 8 people, each with a click; and any log."""

import datetime as dt

import polars as pl
from assay.components.ingest.tables import SCHEMAS, canonical
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

START = dt.datetime(2026, 3, 1, 9, 0, 7, tzinfo=dt.UTC)


def clean_log():
    """No rule has anything to say about it."""
    queries, impressions, events = [], [], []
    for number in range(40):
        who = {"user_id": f"u{number % 8}", "session_id": f"n{number % 8}"}
        when = START + dt.timedelta(seconds=97 * number + (number * number) % 31)
        text = f"red shoe {number % 10}"
        queries.append({"query_id": f"q{number}", "query": text, "timestamp": when, **who})
        for place in range(1, 6):
            impressions.append(
                {
                    "impression_id": f"i{number}-{place}",
                    "query_id": f"q{number}",
                    "item_id": f"p{(number + place) % 12}",
                    "position": place,
                    "timestamp": when + dt.timedelta(seconds=1),
                    **who,
                }
            )
        events.append(
            {
                "event_id": f"e{number}",
                "action": "click",
                "query_id": f"q{number}",
                "item_id": f"p{(number + 2) % 12}",
                "position": 2,
                "timestamp": when + dt.timedelta(seconds=5),
                **who,
            }
        )
    items = [{"item_id": f"p{n}", "text": f"shoe {n}", "price": 10.0 + n} for n in range(12)]
    parts = {"queries": queries, "items": items, "impressions": impressions, "events": events}
    return {name: table(name, rows) for name, rows in parts.items()}


def table(name, rows):
    frame = pl.DataFrame(rows, infer_schema_length=None)
    numbered = frame.with_columns(row=pl.int_range(1, pl.len() + 1), source=pl.lit(f"{name}.csv"))
    return canonical(name, numbered if "source" not in frame.columns else frame)


def spoilt(tables, name, column, values):
    """{row number: value} put into a column."""
    frame = tables[name]
    filled = frame[column].to_list()
    for row, value in values.items():
        filled[row - 1] = value
    return tables | {name: frame.with_columns(pl.Series(column, filled, dtype=frame.schema[column]))}


def more(tables, name, rows):
    """Rows added at the end, with numbers that go on."""
    frame = tables[name]
    added = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        row=pl.int_range(len(frame) + 1, len(frame) + len(rows) + 1), source=pl.lit(f"{name}.csv")
    )
    return tables | {name: pl.concat([frame, canonical(name, added)])}


ID = st.sampled_from([None, "", " a", "a", "b", "c"])
TEXT = st.sampled_from([None, "", "red shoe", "<b>x</b>", "crÃ¨me", "\u200b", "a\x00b", "鞋子　红"])
MOMENTS = st.one_of(
    st.none(),
    st.sampled_from([dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(2999, 1, 1, tzinfo=dt.UTC)]),
    st.integers(0, 400_000).map(lambda s: START + dt.timedelta(seconds=s)),
)
VALUES = {
    pl.String: ID,
    pl.Int32: st.sampled_from([None, -1, 0, 1, 2, 3, 40_000]),
    pl.UInt32: st.integers(1, 999),
    pl.Float64: st.sampled_from([None, -1.0, 0.0, 1.0, 3.0, 5.0, 77.0, 90_000.0]),
    pl.Boolean: st.sampled_from([None, True, False]),
}
TEXTS = {"query", "context", "text", "title"}
ACTIONS = st.sampled_from(["click", "cart", "purchase", "rating", "dwell", "other", "impression", None])


@st.composite
def any_log(draw):
    tables = {}
    for name, schema in SCHEMAS.items():
        rows = draw(st.integers(0, 14))
        if not rows:
            continue
        frame = {}
        for column, dtype in schema.items():
            cell = (
                ACTIONS if column == "action"
                else TEXT if column in TEXTS
                else st.sampled_from(["x.csv", "y.csv"]) if column == "source"
                else MOMENTS if isinstance(dtype, pl.Datetime)
                else VALUES[dtype]
            )  # fmt: skip
            frame[column] = pl.Series(column, draw(st.lists(cell, min_size=rows, max_size=rows)), dtype=dtype)
        tables[name] = canonical(name, pl.DataFrame(frame))
    return tables


# Shrinking six tables takes minutes, and says little more than the ledger does.
WHOLE_LOGS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    derandomize=True,
    database=None,
)
