"""What the store sells: items with attributes, prices, and titles as shops write them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .config import StoreConfig
from .vocabulary import (
    ACCESSORY_MARK,
    CATEGORIES,
    COLOURS,
    EXTRAS,
    MATERIALS,
    NATIONAL_BRANDS,
    Category,
    Line,
)

ACCESSORY_SHARE = 0.2
HOUSE_SHARE = 0.5
# Of the house brands' products: titles without a noun hide the line, titles in house words the attributes.
NOUNLESS_SHARE = 0.25
HOUSE_WORD_SHARE = 0.9


def item_count(config: StoreConfig) -> int:
    """Items in the catalogue: enough that a specific query finds a few exact ones."""
    return 1_500 + 2 * config.queries


def make_catalogue(config: StoreConfig) -> pd.DataFrame:
    """Draw the items.

    Returns:
        One row an item: `item_id`, `title`, `category`, `line` (noun of the product line, or of the line that
        an accessory is made for), `accessory` (bool), `brand`, `colour`, `material`, `size`, `price`
        (float64, euros).
    """
    rng = config.stream("catalogue")
    return pd.DataFrame([_draw_item(rng, number) for number in range(item_count(config))])


def _draw_item(rng: np.random.Generator, number: int) -> dict[str, object]:
    category = CATEGORIES[rng.integers(len(CATEGORIES))]
    line = category.lines[rng.integers(len(category.lines))]
    accessory = bool(rng.random() < ACCESSORY_SHARE)
    attributes = {
        "category": category.name,
        "line": line.nouns[0],
        "accessory": accessory,
        "brand": line.house if rng.random() < HOUSE_SHARE else str(rng.choice(NATIONAL_BRANDS)),
        "colour": str(rng.choice(list(COLOURS))),
        "material": str(rng.choice(category.materials)),
        "size": str(rng.choice(category.sizes)),
        "price": round(category.price * float(rng.lognormal(-1.8 if accessory else 0.0, 0.35)), 2),
    }
    title = _accessory_title if accessory else _product_title
    return {"item_id": f"i{number:06d}", "title": title(rng, attributes, category, line)} | attributes


def _product_title(rng: np.random.Generator, item: dict, category: Category, line: Line) -> str:
    house = item["brand"] == line.house
    own_words = house and rng.random() < HOUSE_WORD_SHARE
    code = f"{line.code}-{rng.integers(100, 1000)}"
    # The regulars know what the house brand makes, so the shop saves itself the noun.
    name = code if house and rng.random() < NOUNLESS_SHARE else str(rng.choice(line.nouns))
    details = [
        COLOURS[item["colour"]] if own_words else item["colour"],
        MATERIALS[item["material"]] if own_words else item["material"],
    ]
    rng.shuffle(details)
    words = [item["brand"], name, *details]
    if rng.random() < 0.7:
        words.append(item["size"])
    if rng.random() < 0.3:
        words.append(str(rng.choice(EXTRAS)))
    return " ".join(words)


def _accessory_title(rng: np.random.Generator, item: dict, category: Category, line: Line) -> str:
    by_brand = item["brand"] == line.house and rng.random() < 0.3
    target = item["brand"] if by_brand else str(rng.choice(line.nouns))
    words = [ACCESSORY_MARK, str(rng.choice(category.accessories)), "for", target, item["colour"]]
    if rng.random() < 0.6:
        words.append(item["material"])
    return " ".join(words)
