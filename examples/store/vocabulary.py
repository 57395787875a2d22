"""The shop's words: what it sells, what customers call it, and what only this shop calls it.

Customers and encoders know the plain words. The house words (a brand per product line, colour names, material
codes, code prefixes) mean nothing outside the shop, and they are few, so that each is seen often: that makes
them learnable from a hundred queries, and invisible to a lexical or zero-shot ranker.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A product line: the kind of thing that a query asks for.

    Attributes:
        nouns: what shops and customers call it, the titles' word first.
        asked: what customers alone call it.
        house: the house brand that makes nothing else.
        code: the prefix of its product codes.
    """

    nouns: tuple[str, ...]
    asked: tuple[str, ...]
    house: str
    code: str


@dataclass(frozen=True)
class Category:
    """Two lines that substitute each other, the accessories that complement both, and their attributes."""

    name: str
    lines: tuple[Line, Line]
    accessories: tuple[str, ...]
    materials: tuple[str, ...]
    sizes: tuple[str, ...]
    price: float


CATEGORIES = (
    Category(
        "footwear",
        (
            Line(("running shoes", "runners"), ("sneakers", "jogging shoes"), "Velmora", "VX"),
            Line(("hiking boots", "trekking boots"), ("walking boots", "mountain shoes"), "Torvik", "TK"),
        ),
        ("laces", "insoles"),
        ("leather", "mesh", "canvas"),
        ("38", "41", "44"),
        90.0,
    ),
    Category(
        "bags",
        (
            Line(("backpack", "rucksack"), ("school bag", "daypack"), "Ordessa", "OD"),
            Line(("messenger bag", "shoulder bag"), ("laptop bag", "satchel"), "Pellano", "PN"),
        ),
        ("rain cover", "padlock"),
        ("leather", "nylon", "canvas"),
        ("15l", "25l", "40l"),
        60.0,
    ),
    Category(
        "audio",
        (
            Line(("headphones", "over-ear headphones"), ("headset", "cans"), "Sonvara", "SV"),
            Line(("earbuds", "in-ear earphones"), ("ear plugs for music", "wireless buds"), "Pilluno", "PU"),
        ),
        ("ear pads", "charging cable"),
        ("plastic", "aluminium", "leather"),
        ("compact", "standard", "pro"),
        120.0,
    ),
    Category(
        "coffee",
        (
            Line(
                ("espresso machine", "espresso maker"), ("barista machine", "coffee machine"), "Braccia", "BC"
            ),
            Line(
                ("filter coffee maker", "drip coffee maker"),
                ("coffee pot", "coffee brewer"),
                "Morgenta",
                "MG",
            ),
        ),
        ("descaler", "cleaning tablets"),
        ("steel", "plastic", "glass"),
        ("2 cup", "6 cup", "10 cup"),
        150.0,
    ),
    Category(
        "cookware",
        (
            Line(("frying pan", "skillet"), ("omelette pan", "fry pan"), "Feruno", "FN"),
            Line(("wok", "stir-fry pan"), ("chinese pan", "deep pan"), "Wendali", "WD"),
        ),
        ("lid", "handle"),
        ("steel", "ceramic", "aluminium"),
        ("20cm", "26cm", "32cm"),
        45.0,
    ),
    Category(
        "bedding",
        (
            Line(("duvet", "comforter"), ("quilt", "bed cover"), "Nubessa", "NB"),
            Line(("throw blanket", "plaid"), ("sofa blanket", "cosy blanket"), "Lanuvo", "LV"),
        ),
        ("storage bag", "clips"),
        ("cotton", "wool", "down"),
        ("single", "double", "king"),
        70.0,
    ),
    Category(
        "seating",
        (
            Line(("office chair", "desk chair"), ("swivel chair", "computer chair"), "Sedaro", "SD"),
            Line(("bar stool", "counter stool"), ("kitchen stool", "high chair for bar"), "Tabuno", "TB"),
        ),
        ("castors", "seat cushion"),
        ("leather", "mesh", "wood"),
        ("low", "medium", "high"),
        130.0,
    ),
    Category(
        "lighting",
        (
            Line(("floor lamp", "standing lamp"), ("uplighter", "living room light"), "Lumetra", "LM"),
            Line(("desk lamp", "table lamp"), ("reading light", "bedside light"), "Clarino", "CL"),
        ),
        ("bulb", "dimmer"),
        ("steel", "wood", "glass"),
        ("40cm", "90cm", "150cm"),
        55.0,
    ),
    Category(
        "bicycles",
        (
            Line(("electric bike", "e-bike"), ("pedelec", "electric bicycle"), "Voltigo", "VG"),
            Line(("city bike", "city bicycle"), ("commuter bike", "push bike"), "Radessa", "RD"),
        ),
        ("lock", "pump"),
        ("steel", "aluminium", "carbon"),
        ("48cm", "54cm", "60cm"),
        800.0,
    ),
    Category(
        "camping",
        (
            Line(("tent", "dome tent"), ("camping tent", "family tent"), "Kuppelo", "KP"),
            Line(("sleeping bag", "mummy sleeping bag"), ("camping bed bag", "bivvy bag"), "Dormina", "DM"),
        ),
        ("pegs", "repair kit"),
        ("nylon", "cotton", "canvas"),
        ("1 person", "2 person", "4 person"),
        110.0,
    ),
    Category(
        "outerwear",
        (
            Line(("rain jacket", "raincoat"), ("waterproof coat", "mac"), "Pluvessa", "PV"),
            Line(("winter parka", "down parka"), ("winter coat", "anorak"), "Boralis", "BR"),
        ),
        ("care spray", "hanger"),
        ("nylon", "cotton", "wool"),
        ("small", "medium", "large"),
        140.0,
    ),
    Category(
        "cleaning",
        (
            Line(("robot vacuum", "robot hoover"), ("robotic cleaner", "roomba"), "Polvero", "PR"),
            Line(("cordless vacuum", "stick vacuum"), ("hoover", "vacuum cleaner"), "Aspiro", "AP"),
        ),
        ("dust bags", "brush"),
        ("plastic", "aluminium", "carbon"),
        ("mini", "standard", "xl"),
        220.0,
    ),
    Category(
        "watches",
        (
            Line(("wrist watch", "analogue watch"), ("mens watch", "timepiece"), "Chronelle", "CH"),
            Line(("fitness tracker", "activity band"), ("smart band", "step counter"), "Pulsera", "PL"),
        ),
        ("strap", "screen protector"),
        ("leather", "steel", "plastic"),
        ("36mm", "40mm", "44mm"),
        160.0,
    ),
    Category(
        "garden",
        (
            Line(("lawn mower", "lawnmower"), ("grass cutter", "mower"), "Pratello", "PT"),
            Line(("hedge trimmer", "hedge cutter"), ("bush trimmer", "shrub cutter"), "Siepona", "SP"),
        ),
        ("blade", "oil"),
        ("steel", "plastic", "aluminium"),
        ("32cm", "38cm", "46cm"),
        190.0,
    ),
)

COLOURS = {
    "black": "nox",
    "white": "albo",
    "grey": "grizo",
    "blue": "indra",
    "green": "vireo",
    "red": "rosk",
    "beige": "sabel",
    "brown": "tanno",
}

MATERIALS = {
    "leather": "LDR",
    "mesh": "MSH",
    "canvas": "CVS",
    "nylon": "NYL",
    "plastic": "PLS",
    "aluminium": "ALU",
    "steel": "STL",
    "glass": "GLS",
    "ceramic": "CRM",
    "cotton": "CTN",
    "wool": "WOL",
    "down": "DWN",
    "wood": "WUD",
    "carbon": "CBN",
}

NATIONAL_BRANDS = ("Halden", "Brooksley", "Nordmark", "Tessaro", "Kimura", "Aldenham", "Ravello", "Osterby")
EXTRAS = ("new season", "premium", "lightweight", "2-year warranty", "gift idea", "bestseller", "classic")
ACCESSORY_MARK = "ZBH"
