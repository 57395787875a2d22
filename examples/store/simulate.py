"""The whole store from one config, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .ads import make_ads
from .catalogue import make_catalogue
from .config import StoreConfig
from .judgments import make_judgments
from .lexical import LexicalIndex
from .queries import make_queries
from .recommendation import make_recommendation_sessions
from .relevance import Relevance
from .reviews import make_reviews
from .search_log import make_search_log


@dataclass(frozen=True)
class Store:
    """A simulated store.

    Attributes:
        config: what it was made from.
        tables: what a real shop has, by file name without suffix.
        truth: what only the simulator knows, likewise.
    """

    config: StoreConfig
    tables: dict[str, pd.DataFrame]
    truth: dict[str, pd.DataFrame]

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Name a table as an attribute: `store.judgments`."""
        tables = self.__dict__.get("tables", {})
        if name in tables:
            return tables[name]
        raise AttributeError(f"the store has no table {name!r}, only {', '.join(tables)}")


def simulate(config: StoreConfig) -> Store:
    """Make the store; each table's columns are described where it is made and in `examples/README.md`."""
    items = make_catalogue(config)
    queries = make_queries(config, items)
    relevance = Relevance(queries, items)
    index = LexicalIndex(list(items["title"]))
    judgments, judged = make_judgments(config, queries, items, relevance, index)
    events, event_truth = make_search_log(config, queries, items, relevance, index)
    sessions, session_truth = make_recommendation_sessions(config, items)
    reviews, review_truth = make_reviews(config, items)
    ads, ad_truth = make_ads(config, items)
    tables = {
        "items": items,
        "queries": queries,
        "judgments": judgments,
        "search_events": events,
        "recommendation_sessions": sessions,
        "reviews": reviews,
        "ads": ads,
    }
    propensities = pd.DataFrame(
        {
            "position": np.arange(1, len(config.examination) + 1, dtype=np.int16),
            "examination": config.examination,
        }
    )
    truth = {"judgments": judged, "propensities": propensities}
    return Store(config, tables, truth | event_truth | session_truth | review_truth | ad_truth)


def write(store: Store, folder: str | Path) -> None:
    """Write each table to `folder` and each table of the truth to `folder/truth`, as parquet.

    The same store gives the same bytes.
    """
    for place, tables in ((Path(folder), store.tables), (Path(folder) / "truth", store.truth)):
        place.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), place / f"{name}.parquet")
