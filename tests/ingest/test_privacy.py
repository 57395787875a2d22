"""Personal data is masked, numbers of a shop stay; ids become pseudonyms that the key alone can make."""

import logging

import polars as pl
import pytest
from assay.components.core.errors import BadInput
from assay.components.ingest.ledger import Ledger
from assay.components.ingest.personal import LOOKED_AT, Found, found, luhn, masked
from assay.components.ingest.privacy import id_key, mask_texts, pseudonym, pseudonymised
from assay.components.ingest.tables import canonical
from hypothesis import given
from hypothesis import strategies as st

KEY = b"0123456789abcdef0123456789abcdef"

PERSONAL = {
    "mail john.doe@gmail.com please": "mail [email] please",
    "john (at) gmail dot com": "[email]",
    "jane at yahoo dot co dot uk": "[email]",
    "联系我bookzip@163.com我": "联系我[email]我",
    "tel 030/1234567 or +49 151 23456789": "tel [phone] or [phone]",
    "(555) 123-4567, 555-123-4567": "[phone], [phone]",
    "06 12 34 56 78": "[phone]",
    "手机：13341772746": "手机：[phone]",
    "call 5551234567": "call [phone]",
    "8 (949) 214-64-70": "[phone]",
    "card 4111 1111 1111 1111": "card [card]",
    "378282246310005": "[card]",
    "ip 8.8.8.8": "ip [ip]",
    "http://192.168.178.21:8080/": "http://[ip]:8080/",
    "2001:db8::ff00:42:8329": "[ip]",
    "221B Baker St., London": "[address], London",
    "to 45 elm street apt 5": "to [address]",
    "Hauptstraße 12a": "[address]",
    "Karl-Marx-Allee 5": "[address]",
    "12 rue de la Paix": "[address]",
    "Via Roma, 10": "[address]",
    "北京市朝阳区建国路88号": "[address]",
    "order 112-1234567-1234567\n+44 7334 584189": "order 112-1234567-1234567\n[phone]",
    "0176/42968658 13.03.2022": "[phone] 13.03.2022",
}
OF_A_SHOP = [
    "EAN 4006381333931", "0306406152", "ISBN 978-0-306-40615-7", "order 112-1234567-1234567", "SM-G991B/DS",
    "iPhone 13 Pro 128GB A2638", "firmware 2.0.1.14", "windows 10.0.19041.1", "00:1A:2B:3C:4D:5E",
    "10x20x30 cm", "size 32-34-36", "01-02-2024 12:30", "2024-01-15 12:30:45", "1.299,00 EUR",
    "64 GB Flash Drive",
    "2 TB Hard Drive", "12 Volt Two Way Radio", "4 Wheel Drive", "route 66 jacket",
    "order no 4111 1111 1111 1111",
    "4111 1111 1111 1112", "part no 830-1234-567", "Measuring 300 cm", "300-350元", "3 @ 4.50", "@nike shoes",
    "1999-2008", "5 Star Place mat", "via HDMI 2", "section 3.1.2.1", "6.1 5.1 2.0 4.0", "std::vector<int>",
]  # fmt: skip


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_is_masked(text):
    assert masked(text)[0] == PERSONAL[text]


@pytest.mark.parametrize("text", OF_A_SHOP)
def test_what_a_shop_writes_stays(text):
    assert masked(text) == (text, [])


def test_places_are_those_of_the_text():
    text = "a@b.com and 13341772746 and a@b.com"
    assert found(text) == [Found("email", 0, 7), Found("phone", 12, 23), Found("email", 28, 35)]


@pytest.mark.parametrize(("digits", "right"), [("79927398713", True), ("79927398710", False), ("0", True)])
def test_luhn(digits, right):
    assert luhn(digits) is right


@given(st.text(st.sampled_from("0123456789 .-/:@+()atdot路号Aa\n"), max_size=40))
def test_nothing_overlaps_and_nothing_is_found_where_the_filter_looks_away(text):
    spans = found(text)
    assert all(a.end <= b.start for a, b in zip(spans, spans[1:], strict=False))
    assert all(0 <= s.start < s.end <= len(text) for s in spans)
    if spans:
        assert pl.Series([text]).str.contains(LOOKED_AT)[0]


def log():
    queries = pl.DataFrame({"query_id": ["1", "2", "3"], "query": ["red shoe", "mail a@b.com", None]})
    reviews = pl.DataFrame(
        {
            "title": ["call 5551234567", "ok"],
            "text": ["or 5559876543 mobile 5551234567, a@b.com", "fine"],
            "user_id": ["ann", None],
            "session_id": [None, "s"],
        }
    )
    tables = {"queries": queries, "reviews": reviews}
    return {
        name: canonical(
            name, frame.with_columns(source=pl.lit(f"{name}.csv"), row=pl.int_range(1, pl.len() + 1))
        )
        for name, frame in tables.items()
    }


def test_tables_are_masked_and_rows_counted():
    ledger = Ledger()
    tables = log()
    out = mask_texts(tables, ledger)
    assert out["queries"]["query"].to_list() == ["red shoe", "mail [email]", None]
    assert out["reviews"]["title"].to_list() == ["call [phone]", "ok"]
    assert ledger.repaired == {"masked_email": 2, "masked_phone": 1}
    # The examples say where, never what.
    assert ledger.examples == {
        "masked_email": ["queries.csv 2", "reviews.csv 1"],
        "masked_phone": ["reviews.csv 1"],
    }
    assert tables["queries"]["query"][1] == "mail a@b.com"


def test_texts_of_items_are_masked_on_request_only():
    items = canonical("items", pl.DataFrame({"item_id": ["p"], "text": ["call 5551234567"]}))
    assert mask_texts({"items": items}, Ledger())["items"]["text"][0] == "call 5551234567"
    assert mask_texts({"items": items}, Ledger(), items=True)["items"]["text"][0] == "call [phone]"


def test_pseudonyms_are_of_the_id_and_the_key():
    """The value is what `openssl mac BLAKE2BMAC` says (RFC 7693)."""
    assert pseudonym("ann", KEY) == "66b030afa217f822588a253b575c7272"
    assert pseudonym("ann", KEY) != pseudonym("ann", KEY[::-1]) != pseudonym("bob", KEY)
    out = pseudonymised(log(), KEY)["reviews"]
    assert out["user_id"].to_list() == [pseudonym("ann", KEY), None]
    assert out["session_id"].to_list() == [None, pseudonym("s", KEY)]


def test_the_key_comes_from_the_environment_or_a_file_and_is_not_told(monkeypatch, tmp_path, caplog, capsys):
    monkeypatch.delenv("ASSAY_ID_KEY", raising=False)
    monkeypatch.delenv("ASSAY_ID_KEY_FILE", raising=False)
    with pytest.raises(BadInput, match="set ASSAY_ID_KEY"):
        id_key()
    monkeypatch.setenv("ASSAY_ID_KEY", "short secret")
    with pytest.raises(BadInput, match="a key of 12 bytes") as refused:
        id_key()
    assert "secret" not in str(refused.value)
    (tmp_path / "key").write_bytes(KEY + b"\n")
    monkeypatch.delenv("ASSAY_ID_KEY")
    monkeypatch.setenv("ASSAY_ID_KEY_FILE", str(tmp_path / "key"))
    with caplog.at_level(logging.DEBUG):
        assert id_key() == KEY
        assert id_key(tmp_path / "key") == KEY
    assert KEY.decode() not in caplog.text + capsys.readouterr().out
    with pytest.raises(BadInput, match="cannot be read"):
        id_key(tmp_path / "none")
