"""Which language a text is in, by script and, for Latin letters, by small words: a segment, no verdict.

And how much of a text a tokeniser knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

OTHER = "other"
_SCRIPTS = {
    "ja": r"[\x{3040}-\x{30ff}\x{31f0}-\x{31ff}\x{ff66}-\x{ff9f}]",
    "ko": r"[\x{1100}-\x{11ff}\x{3130}-\x{318f}\x{ac00}-\x{d7a3}]",
    "zh": r"\p{Han}",
    "fa": r"[پچژگکی]",
    "ar": r"\p{Arabic}",
    "uk": r"[іїєґІЇЄҐ]",
    "ru": r"\p{Cyrillic}",
    "el": r"\p{Greek}",
    "he": r"\p{Hebrew}",
    "th": r"\p{Thai}",
    "hi": r"\p{Devanagari}",
    "latin": r"\p{Latin}",
}
_WORDS = {
    "en": "the and for with of to in is it this that my on not was are be have you so but very men women "
    "kids black white blue red shoes dress size great good without i from as at",
    "es": "el la los las de del y para con en un una por que es no se muy su mi hombre mujer negro rojo "
    "zapatos niños lo al como más sin pero talla",
    "de": "der die das und für mit von zu im in ist ein eine nicht auf den dem sehr ich sie es auch damen "
    "herren schwarz weiß kinder ohne größe schuhe bei aus",
    "fr": "le la les de des du et pour avec un une en est pas que je il ce très au dans sur homme femme noir "
    "blanc sans taille chaussures plus qui mais",
    "it": "il lo la gli le di del della e per con un una in è non che molto ma sono uomo donna nero bianco "
    "senza scarpe da al come più",
    "pt": "o a os as de do da e para com em um uma por que é não se muito mas homem mulher preto branco sem "
    "tamanho sapatos na no ao mais",
    "nl": "de het een en voor met van in is op niet te dat ik zijn zeer maar dames heren zwart wit zonder "
    "maat schoenen bij aan ook",
}
_LETTERS = {
    "es": "[ñ¿¡]", "de": "[ßäöü]", "fr": "[çœêèàùî]", "pt": "[ãõç]", "it": "[òìù]",
}  # fmt: skip
"""Letters that speak for a language as a word does."""
LANGUAGES = (*(k for k in _SCRIPTS if k != "latin"), *_WORDS, OTHER)


def languages(texts: pl.Series, undecided: str = OTHER) -> pl.Series:
    """The language of each text.

    The script of most letters decides, one kana or Hangul syllable in five being enough, as Japanese and
    Korean are written with Han as well. Latin letters are told by small words and by letters that only some
    languages have.

    Args:
        texts: (n,) texts; null is `OTHER`.
        undecided: Label of Latin text without a word that tells, and of a tie; a shop knows its own.

    Returns:
        (n,) of `LANGUAGES`.
    """
    distinct = pl.DataFrame({"text": texts.unique().drop_nulls()})
    count = [pl.col("text").str.count_matches(rule).alias(name) for name, rule in _SCRIPTS.items()]
    seen = distinct.with_columns(count)
    letters = pl.sum_horizontal("ja", "ko", "zh", "ar", "ru", "el", "he", "th", "hi", "latin")
    own = pl.max_horizontal("zh", "ar", "ru", "el", "he", "th", "hi", "latin")
    # The more exact name stands before the script that holds it.
    label = (
        pl.when(letters == 0)
        .then(pl.lit(OTHER))
        .when((pl.col("ja") * 5 >= letters) & (pl.col("ja") >= pl.col("ko")))
        .then(pl.lit("ja"))
        .when(pl.col("ko") * 5 >= letters)
        .then(pl.lit("ko"))
    )
    for name in ("zh", "ar", "ru", "el", "he", "th", "hi"):
        exact = {"ar": "fa", "ru": "uk"}.get(name)
        word = pl.lit(name)
        if exact:
            word = pl.when(pl.col(exact) > 0).then(pl.lit(exact)).otherwise(pl.lit(name))
        label = label.when((pl.col(name) == own) & (own > 0)).then(word)
    seen = seen.with_columns(label.otherwise(pl.lit(None)).alias("label"))
    latin = seen.filter(pl.col("label").is_null())["text"]
    table = pl.concat(
        [
            seen.filter(pl.col("label").is_not_null()).select("text", "label"),
            pl.DataFrame({"text": latin, "label": _latin(latin, undecided)}),
        ]
    )
    found = pl.DataFrame({"text": texts}).join(table, on="text", how="left", maintain_order="left")
    return found["label"].fill_null(OTHER).alias("language")


def _latin(texts: pl.Series, undecided: str) -> pl.Series:
    words = pl.DataFrame({"words": texts.str.to_lowercase().str.extract_all(r"[\p{L}]+")})
    low = texts.str.to_lowercase()
    scores = words.select(
        (
            pl.col("words").list.eval(pl.element().is_in(known.split()).cast(pl.UInt32)).list.sum()
            + pl.lit(low).str.count_matches(_LETTERS.get(name, "[^\\s\\S]"))
        ).alias(name)
        for name, known in _WORDS.items()
    )
    best = pl.max_horizontal(*_WORDS)
    alone = pl.sum_horizontal(pl.col(name) == best for name in _WORDS) == 1
    chosen = pl.coalesce(pl.when(pl.col(name) == best).then(pl.lit(name)) for name in _WORDS)
    return scores.select(
        pl.when((best > 0) & alone).then(chosen).otherwise(pl.lit(undecided)).alias("label")
    ).to_series()


def unknown_share(texts: Sequence[str], tokenizer: Any, batch: int = 1024) -> float:
    """Share of characters, white space apart, that a tokeniser turns into its unknown token.

    Args:
        texts: (n,) texts.
        tokenizer: A fast tokeniser of transformers. One of bytes has no unknown token: 0.
        batch: Texts at once.

    Returns:
        In [0, 1]; 0 of no characters.
    """
    unknown = tokenizer.unk_token_id
    every = lost = 0
    for start in range(0, len(texts), batch):
        part = list(texts[start : start + batch])
        every += sum(len("".join(text.split())) for text in part)
        if unknown is None:
            continue
        coded = tokenizer(part, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        for text, ids, spans in zip(part, coded["input_ids"], coded["offset_mapping"], strict=True):
            for code, (left, right) in zip(ids, spans, strict=True):
                if code == unknown:
                    lost += len("".join(text[left:right].split()))
    return lost / every if every else 0.0
