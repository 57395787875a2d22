"""What was done to texts is undone, and what people meant stays."""

import polars as pl
import pytest
from assay.components.core.checkpoints import ENCODER, resolve
from assay.components.ingest.cleaning.clean import clean
from assay.components.ingest.cleaning.languages import languages, unknown_share
from assay.components.ingest.cleaning.texts import _ODD, STEPS, mended
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.tables import canonical
from hypothesis import given
from hypothesis import strategies as st

MEANT = [
    "crème brûlée", "größe 10 m²", "straße…", "ação SÃO PAULO", "Škoda’s", "Łódź", "mañana ¿qué?",
    "日本語テスト", "你好，世界！", "한국어 테스트", "красные туфли", "حذاء أحمر", "שלום", "रेड शू",
    "می\u200cخواهم",  # Persian, with a zero-width non-joiner
    "👨\u200d👩\u200d👧 family", "❤️ love",
    "½ inch ㎡ ① ㈱ ™ 10²", "size <M> only, 3 < 4 > 2", "AT&T ?a=1&copy=2",
    "R&D; M&M",
    "神戸\ufa19",  # a compatibility ideograph in a name
]  # fmt: skip


def garbled(text, times=1):
    """UTF-8, read as what browsers call latin1."""
    for _ in range(times):
        text = "".join(
            bytes([b]).decode("cp1252") if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(b)
            for b in text.encode()
        )
    return text


@pytest.mark.parametrize("text", MEANT)
def test_what_people_meant_stays(text):
    assert mended(text) == (text, set())


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("text", [t for t in MEANT if not t.isascii() and "\ufa19" not in t])
def test_mojibake_is_read_again(text, times):
    assert mended(garbled(text, times)) == (text, {"mojibake"})


def test_a_half_garbled_text_is_mended_where_it_is_garbled():
    assert mended("Café – " + garbled("crème") + " 日本") == ("Café – crème 日本", {"mojibake"})


@pytest.mark.parametrize(
    ("text", "clean_text", "steps"),
    [
        ("<p>Hi&nbsp;&amp;amp; bye</p><script>x<1</script>ok", "Hi & bye ok", {"html"}),
        ("soft<br/>sole", "soft sole", {"html"}),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold", {"html"}),
        ("a\x00b\x07", "ab", {"control_characters"}),
        ("re\u200bd shoe\ufeff", "red shoe", {"zero_width"}),
        ("red\u200dshoe \u200c!", "redshoe !", {"zero_width"}),
        (" red\u00a0\u3000shoe\n", "red shoe", {"white_space"}),
        ("ｉＰｈｏｎｅ１５ ｱｲｳ", "iPhone15 アイウ", {"compatibility_forms"}),
        ("ﬁne ﷲ", "fine الله", {"compatibility_forms"}),
        ("cafe\u0301", "café", {"compatibility_forms"}),
        ("\u200b \t", "", {"zero_width", "white_space"}),
    ],
)
def test_each_step_says_what_it_did(text, clean_text, steps):
    assert mended(text) == (clean_text, steps)


def test_the_filter_knows_every_character_that_a_step_would_change():
    texts = [
        around.format(chr(c)) for c in range(0x20000) if not 0xD800 <= c < 0xE000 for around in ("a{}b", "{}")
    ]
    changed = pl.Series([text for text in texts if mended(text)[0] != text])
    assert len(changed) > 4000
    assert changed.filter(~changed.str.contains(_ODD) & (changed != "")).to_list() == []


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_the_filter_lets_through_nothing_that_a_step_would_change(text):
    found = pl.Series([text]).str.contains(_ODD)[0] or text == ""
    assert found or mended(text)[0] == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_each_step_but_mojibake_is_done_once(text):
    for name, step in STEPS.items():
        if name not in ("mojibake", "html"):
            assert step(step(text)) == step(text), name


def test_a_row_counts_once_a_reason_whatever_its_columns():
    rows = {"title": ["<b>a</b>", "x", None], "text": ["<i>b</i>", "y\u00a0z", "\x00"]}
    reviews = canonical(
        "reviews",
        pl.DataFrame(rows).with_columns(
            item_id=pl.lit("p"), source=pl.lit("r.csv"), row=pl.int_range(1, 4), rating=pl.lit(3.0)
        ),
    )
    ledger = Ledger(rows_in=3)
    out = clean({"reviews": reviews}, ledger)["reviews"]
    assert out.select("title", "text").rows() == [("a", "b"), ("x", "y z")]
    assert ledger.repaired == {"html": 1, "white_space": 1, "control_characters": 1}
    assert ledger.dropped == {"empty_text": 1}
    assert ledger.examples["html"] == ["r.csv 1"]


TOLD = {
    "red shoes for women": "en", "zapatos de mujer": "es", "Schuhe für Damen": "de",
    "robe rouge pour femme": "fr",
    "scarpe da donna nere": "it", "sapatos para homem": "pt", "schoenen voor dames": "nl",
    "红色的鞋子 Nike": "zh", "赤い靴": "ja", "빨간 신발": "ko", "красные туфли": "ru",
    "кросівки для її": "uk",
    "حذاء أحمر": "ar", "کفش قرمز": "fa", "κόκκινα παπούτσια": "el", "נעליים": "he",
    "รองเท้า": "th", "जूते": "hi",
    "lego 42100": "other", "12345": "other", "": "other",
}  # fmt: skip


def test_languages_by_script_and_small_words():
    assert dict(zip(TOLD, languages(pl.Series(list(TOLD))).to_list(), strict=True)) == TOLD
    assert languages(pl.Series(["lego", None, "鞋"]), undecided="en").to_list() == ["en", "other", "zh"]


def test_a_language_of_real_reviews(data_folder):
    for name, column, label in (("zh_online_shopping", "review_text", "zh"), ("womens_clothing", None, "en")):
        table = pl.read_parquet(data_folder / f"reviews_{name}" / "reviews.parquet")
        column = column or next(c for c in table.columns if "text" in c.lower())
        texts = table[column].drop_nulls()
        texts = texts.filter(texts.str.len_chars() >= 40).head(5000)
        assert (languages(texts) == label).mean() > 0.97


def test_the_share_of_characters_that_a_tokeniser_does_not_know():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve(ENCODER))
    assert unknown_share(["red shoe", "blue lamp"], tokenizer) == 0.0
    # An emoji is no word of this vocabulary: one character of five.
    assert unknown_share(["shoe 🥿"], tokenizer) == pytest.approx(1 / 5)
    assert unknown_share([], tokenizer) == 0.0
