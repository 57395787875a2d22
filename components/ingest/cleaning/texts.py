"""Texts as people wrote them: what encodings, markup and invisible characters did to them is undone.

Each distinct text is looked at once, and only where an expression finds in it something that may need work.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

import polars as pl
from assay.components.ingest.cleaning.account import counted, present
from assay.components.ingest.cleaning.facts import Facts
from assay.components.ingest.cleaning.policy import Policy
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import SCHEMAS, Tables

_NO_TEXT = ("source", "action", "split", "locale", "policy")
_ROUNDS = 3
"""Times that a text may have been garbled or escaped one within the other."""


def repaired(tables: Tables, ledger: Ledger, policy: Policy, facts: Facts) -> Tables:
    """`mojibake`, `html`, `control_characters`, `zero_width`, `compatibility_forms`, `white_space`.

    Rows are counted once a reason, however many of their texts it touched. A text of which nothing is left
    is null. `replacement_character` is noted: what U+FFFD stands for is lost.
    """
    out = dict(tables)
    for name in present(tables, *tables):
        frame = tables[name]
        touched: dict[str, pl.Series] = {}
        for column in text_columns(name, frame):
            fixed = _fixed(frame[column])
            if not len(fixed):
                continue
            frame = frame.join(
                fixed.rename({"text": column}),
                on=column,
                how="left",
                maintain_order="left",
                nulls_equal=False,
            )
            for reason in STEPS:
                rows = frame[f"_{reason}"].fill_null(False)
                touched[reason] = touched[reason] | rows if reason in touched else rows
            changed = pl.when(pl.col("_changed").fill_null(False)).then("_clean").otherwise(column)
            frame = frame.with_columns(changed.alias(column)).select(tables[name].columns)
        for reason, rows in touched.items():
            counted(ledger.repair, reason, tables[name], rows)
        texts = text_columns(name, frame)
        lost = frame.select(
            pl.any_horizontal(pl.col(texts).str.contains("\ufffd", literal=True)).fill_null(False)
        ).to_series()
        counted(ledger.note, "replacement_character", tables[name], lost)
        out[name] = frame
    return out


def text_columns(name: str, frame: pl.DataFrame) -> list[str]:
    """The columns of a table that hold texts, not ids or names of things."""
    kinds = SCHEMAS[name]
    return [
        column
        for column, dtype in frame.schema.items()
        if dtype == pl.String
        and not column.endswith("_id")
        and column not in _NO_TEXT
        and (column in kinds or column.startswith("attribute."))
    ]


def _fixed(column: pl.Series) -> pl.DataFrame:
    """Columns text, _clean, _changed and a bool a step: the distinct texts that may need work."""
    odd = column.unique().drop_nulls()
    odd = odd.filter(odd.str.contains(_ODD) | (odd == ""))
    cleaned = [mended(text) for text in odd.to_list()]
    about = {f"_{reason}": [reason in steps for _, steps in cleaned] for reason in STEPS}
    return pl.DataFrame(
        {
            "text": odd,
            "_clean": pl.Series([text or None for text, _ in cleaned], dtype=pl.String),
            **{key: pl.Series(value, dtype=pl.Boolean) for key, value in about.items()},
        }
    ).with_columns(_changed=pl.lit(True))


def mended(text: str) -> tuple[str, set[str]]:
    """A text after all steps, and the names of those that changed it."""
    steps = set()
    for name, step in STEPS.items():
        after = step(text)
        if after != text:
            steps.add(name)
            text = after
    return text, steps


# -- mojibake: UTF-8 that was read as Windows-1252 or Latin-1 ------------------------------------------------


def _sloppy(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        # The five bytes that Windows-1252 leaves out are read as Latin-1 by whoever garbles.
        return chr(byte)


_BYTE = {_sloppy(b): b for b in range(0x80, 0x100)} | {chr(b): b for b in range(0x80, 0xA0)}
_HIGH = re.compile("[" + re.escape("".join(_BYTE)) + "]{2,}")
_MEANT = re.compile(
    "[\u00a0-\u017f\u0218-\u021b\u02c6\u02dc\u0386-\u03ce\u0400-\u045f\u0490\u0491\u05d0-\u05ea\u060c-\u06d4"
    "\u0900-\u0d7f\u0e00-\u0e5b\u1e00-\u1eff\u2000-\u206f\u20a0-\u20bf\u2100-\u2bff\u3000-\u30ff\u3105-\u312f"
    "\u3200-\u33ff\u4e00-\u9fff\uac00-\ud7a3\ufb00-\ufb06\ufe0f\uff01-\uffee\U0001f000-\U0001faff]+"
)
"""What shops write. Others (N'Ko for a sharp s before three dots) are accidents of two good characters."""


def without_mojibake(text: str) -> str:
    """Undo UTF-8 read as Windows-1252, run by run, so that a half garbled text is mended too."""
    for _ in range(_ROUNDS):
        after = _HIGH.sub(_decoded, text)
        if after == text:
            return text
        text = after
    return text


def _decoded(match: re.Match[str]) -> str:
    run = match.group()
    try:
        meant = bytes(_BYTE[character] for character in run).decode("utf-8")
    except UnicodeDecodeError:
        return run
    # Still garbled once more, or what somebody meant.
    return meant if _MEANT.fullmatch(meant) or _HIGH.search(meant) else run


# -- HTML ----------------------------------------------------------------------------------------------------

_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")
_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>|<!--.*?-->", re.I | re.S)
_TAG = re.compile(
    r"</?(?:a|abbr|article|b|blockquote|body|br|button|center|code|dd|div|dl|dt|em|figure|font|footer|form|h[1-6]"
    r"|head|header|hr|html|i|iframe|img|input|label|li|link|main|mark|meta|nav|noscript|ol|option|p|picture|pre|s"
    r"|section|select|small|source|span|strike|strong|sub|sup|svg|table|tbody|td|tfoot|th|thead|title|tr|u|ul"
    r"|video)(?:\s[^<>]*)?/?>",
    re.I,
)


def without_html(text: str) -> str:
    """Entities become what they stand for; tags that HTML knows become a space. "size <M> only" has none.

    White space is folded where there was any of them: in HTML it means nothing.
    """
    before = text
    for _ in range(_ROUNDS):
        after = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
        after = _TAG.sub(" ", _HIDDEN.sub(" ", after))
        if after == text:
            break
        text = after
    return text if text == before else folded(text)


# -- what cannot be seen -------------------------------------------------------------------------------------

_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]")
_INVISIBLE = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_JOINED = "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff"
_INDIC = "\u0900-\u0dff"
_PICTURES = "\u00a9\u00ae\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff"
_JOINER = re.compile(
    f"(?<![{_PICTURES}{_JOINED}{_INDIC}])\u200d|\u200d(?![{_PICTURES}{_JOINED}{_INDIC}])"
    f"|(?<![{_JOINED}{_INDIC}])\u200c|\u200c(?![{_JOINED}{_INDIC}])"
)


def without_control(text: str) -> str:
    """Control characters but for white space go; they are the rest of a terminal, or of a broken export."""
    return _CONTROL.sub("", text)


def without_zero_width(text: str) -> str:
    """Soft hyphens, marks of direction and zero-width characters go.

    The zero-width joiner stays within emoji (a family is one picture), and it and the non-joiner stay between
    letters of Arabic (Persian needs it) and Indic scripts, where they change what is read.
    """
    return _JOINER.sub("", _INVISIBLE.sub("", text))


# -- one way to write the same -------------------------------------------------------------------------------

_SAFE = re.compile(
    "["
    "\ufb00-\ufb06"  # Latin ligatures
    "\ufb1d-\ufb4f"  # Hebrew presentation forms
    "\ufb50-\ufdfb\ufe70-\ufefc"  # Arabic presentation forms
    "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f"  # full-width digits and letters, half-width kana
    "\U0001d400-\U0001d7ff"  # letters made "bold" out of mathematics
    "]+"
)
_UNIFIED = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")


def composed(text: str) -> str:
    """NFC, and NFKC where it changes the form of a character and not what it says.

    That is: full-width digits and Latin letters, half-width kana, ligatures, presentation forms of Arabic and
    Hebrew, mathematical letters. NFKC is not done of units in one square (U+3300-33FF: a square metre would
    become "m2"), of what is in circles and brackets (U+2460-24FF, U+3200-32FF), of superscripts ("10" and a
    small 2 would become 102), fractions ("1" and a half would become 11/2), signs such as the trade mark.
    Full-width punctuation is how Chinese and Japanese are punctuated. Compatibility ideographs
    (U+F900-FAFF), which NFC itself would replace in names, stay as they are.
    """
    text = _SAFE.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    parts = _UNIFIED.split(text)
    parts[::2] = [unicodedata.normalize("NFC", part) for part in parts[::2]]
    return "".join(parts)


_SPACE = re.compile(r"[\s\u0085\u1680\u2800\u3164\uffa0]+")


def folded(text: str) -> str:
    """White space of all scripts as one space, none at the ends."""
    return _SPACE.sub(" ", text).strip()


STEPS: dict[str, Callable[[str], str]] = {
    "mojibake": without_mojibake,
    "html": without_html,
    "control_characters": without_control,
    "zero_width": without_zero_width,
    "compatibility_forms": composed,
    "white_space": folded,
}
"""{reason: step}, in order: what is garbled may hold markup, and markup may hold invisible characters."""

_RECOMPOSED = "".join(
    character
    for character in map(chr, [*range(0xA0, 0xD800), *range(0xFB00, 0x20000)])
    if unicodedata.normalize("NFC", character) != character
)
_ODD = (
    r"[\x00-\x1f\x7f-\xa0\xad]|^ | $|  |&[a-zA-Z#]|<[a-zA-Z/!]|[\xc2-\xf4][\x80-\xbf\u0152-\u0192\u02c6\u02dc"
    r"\u2013-\u203a\u20ac\u2122]|[\x{ad}\x{1680}\x{180e}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{206f}"
    r"\x{2800}\x{3000}\x{3164}\x{fb00}-\x{fdfb}\x{fe70}-\x{feff}\x{ff10}-\x{ff19}"
    r"\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{ff66}-\x{ffa0}"
    r"\x{1161}-\x{11ff}\x{1d400}-\x{1d7ff}" + re.escape(_RECOMPOSED) + r"]|\p{M}"
)
"""Finds every text that a step may change."""
