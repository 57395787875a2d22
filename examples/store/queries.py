"""What customers type: from the one noun of the head to the misspelt wish list of the tail."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .config import StoreConfig
from .vocabulary import CATEGORIES, COLOURS, Line

SEGMENTS = ("head", "torso", "tail")
SEGMENT_SHARE = (0.15, 0.40, 0.45)
TAIL_TYPO_SHARE = 0.3
# Of the queries for a product of a house brand: those that name the brand and leave the noun out.
HOUSE_NAME_SHARE = {"head": 0.10, "torso": 0.20, "tail": 0.30}
# The attributes that a query names; rng chooses one row of its segment.
WISHES = {
    "head": ((), ("colour",), ("material",)),
    "torso": (("colour",), ("colour", "material"), ("material",), ("colour", "size"), ("brand",)),
    "tail": (("colour", "material"), ("colour", "size"), ("material", "size"), ("brand", "colour")),
}
PATIENCE = 20

LINES = {line.nouns[0]: line for category in CATEGORIES for line in category.lines}


def make_queries(config: StoreConfig, items: pd.DataFrame) -> pd.DataFrame:
    """Draw distinct queries, each from an item that somebody had in mind, so that each has an exact answer.

    Returns:
        One row a query: `query_id`, `query` (distinct text), `segment`, `popularity` (float64, share of the
        searches), `category`, `line`, `colour`, `material`, `size`, `brand` (null where the query leaves
        it open).
    """
    rng = config.stream("queries")
    products = items[~items["accessory"]].to_dict("records")
    seen: set[str] = set()
    rows = []
    for number, segment in enumerate(_segments(config.queries)):
        text, wish = _new_query(rng, products, segment, seen)
        seen.add(text)
        rows.append({"query_id": f"q{number:05d}", "query": text, "segment": segment} | wish)
    queries = pd.DataFrame(rows)
    traffic = 1.0 / (np.arange(len(queries)) + 10.0) ** 0.8
    queries.insert(3, "popularity", traffic / traffic.sum())
    return queries


def _segments(count: int) -> list[str]:
    ends = np.floor(np.cumsum(SEGMENT_SHARE) * count + 0.5).astype(int)
    return [SEGMENTS[int(np.searchsorted(ends, number, side="right"))] for number in range(count)]


def _new_query(rng: np.random.Generator, products: list, segment: str, seen: set[str]) -> tuple[str, dict]:
    """Draw until the text is new; where short texts run out, the query grows like the tail's."""
    tries = 0
    while True:
        form = segment if tries < PATIENCE else "tail"
        text, wish = _draw_query(rng, products[rng.integers(len(products))], form)
        if text not in seen:
            return text, wish
        tries += 1


def _draw_query(rng: np.random.Generator, item: dict, form: str) -> tuple[str, dict]:
    line = LINES[item["line"]]
    named = WISHES[form][rng.integers(len(WISHES[form]))]
    wish = {name: item[name] if name in named else None for name in ("colour", "material", "size", "brand")}
    name = _name(rng, line, item, wish, form)
    before, after = [], []
    if wish["brand"] and wish["brand"].lower() not in name:
        before.append(wish["brand"])
    if wish["colour"]:
        own = form == "tail" and rng.random() < 0.15
        before.append(COLOURS[wish["colour"]] if own else wish["colour"])
    if wish["material"]:
        before.append(wish["material"])
    if wish["size"]:
        after.append(wish["size"])
    text = " ".join([*before, name, *after]).lower()
    if form == "tail" and rng.random() < TAIL_TYPO_SHARE:
        text = _misspell(rng, text)
    return text, {"category": item["category"], "line": item["line"]} | wish


def _name(rng: np.random.Generator, line: Line, item: dict, wish: dict, form: str) -> str:
    if item["brand"] == line.house and rng.random() < HOUSE_NAME_SHARE[form]:
        wish["brand"] = line.house
        return line.house.lower()
    return str(rng.choice(line.nouns + line.asked))


def _misspell(rng: np.random.Generator, text: str) -> str:
    """Drop a letter of one long word, or swap two neighbours."""
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) >= 5]
    if not long:
        return text
    place = long[rng.integers(len(long))]
    word = words[place]
    at = int(rng.integers(1, len(word) - 2))
    swap = rng.random() < 0.5
    words[place] = word[:at] + (word[at + 1] + word[at] + word[at + 2 :] if swap else word[at + 1 :])
    return " ".join(words)
