"""Personal data in a text, found by the shape of what people write and by the words before it.

Shops write numbers too, of models, sizes, orders and books: a number must have the shape of what it is taken
for, pass its check digit where there is one, and no word before it may say that it is something else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

_BEFORE = 32
"""Characters before a number in which a word may say what it is."""
_NO_PHONE = re.compile(
    r"(?:\b(?:order|bestell\w*|commande|pedido|sku|ean|upc|gtin|isbn|asin|art(?:icle|ikel)?|model|modell|modelo|part"
    r"|item|ref(?:erence)?|serial|s/n|p/n|mpn|tracking|parcel|invoice|rechnung\w*|case|lot|batch|code|imei|version"
    r"|firmware)\b[\s.:#nrº°]*|[#№]\s*|(?:订单|货号|型号|编号|条码|注文|品番)\S{0,3}\s*)"
    r"(?:(?:no|nr|num|number|nummer|code|id|is|was)\b[\s.:#]*)*[\w-]*\Z",
    re.I,
)
_PHONE = re.compile(
    r"(?:\b(?:tel|ph|phone|telephone|call|calling|mobile|mobil|cell|whats\s?app|viber|wechat|telegram|signal|fon|telefon"
    r"|handy|handynummer|telefonnummer|ring|sms|text|fax|contact|reach|my\s(?:new\s)?(?:nr|no|num|number|nummer)|t[ée]l[ée]phone|t[ée]l[ée]fono|m[óo]vil"
    r"|llam\w*|appel\w*|telefono|cellulare|celular|telefone|hotline|anruf\w*)\b|тел\w*|电话|手机|联系|微信|電話"
    r"|携帯|전화|هاتف)[^\d\0]{0,20}\Z",
    re.I,
)
_NETWORK = re.compile(
    r"\b(?:ip|ipv4|ipv6|address|from|host|server|dns|ping|gateway|router|subnet|client|login|proxy)\b[^\d]{0,12}$",
    re.I,
)
_RELEASE = re.compile(
    r"\b(?:v|ver|version|firmware|fw|build|driver|rev|revision|release|software|update|ios|android|windows|bios|patch"
    r"|chapter|section|clause|kapitel|abschnitt|app)\.?:?\s*$",
    re.I,
)


@dataclass(frozen=True)
class Found:
    """Personal data in a text.

    Attributes:
        kind: Of `KINDS`.
        start: Its first character.
        end: The one after its last.
    """

    kind: str
    start: int
    end: int


Judge = Callable[[re.Match[str], str], bool]
"""(a match, the characters before it) -> whether it is what its shape says."""


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


# -- e-mail --------------------------------------------------------------------------------------------------

_AT = r"(?i:\s?[@＠]\s?|\s?[(\[{]\s?(?:at|@)\s?[)\]}]\s?|\s+at\s+(?=[\w.-]+\s+dot\s))"
_DOT = r"(?i:\.|\s?[(\[{]\s?(?:dot|\.)\s?[)\]}]\s?|\s+dot\s+)"
# Chinese is written without a space before the address.
_NAME = r"[A-Za-z0-9_\u00c0-\u052f+%'’-]"
_EMAIL = re.compile(
    rf"(?<!{_NAME}){_NAME}++(?:{_DOT}{_NAME}+)*{_AT}(?:[A-Za-z0-9\u00c0-\u052f][A-Za-z0-9\u00c0-\u052f-]*{_DOT})+"
    r"(?:xn--[a-z0-9]+|[A-Za-z\u00c0-\u052f]{2,24})(?![A-Za-z0-9\u00c0-\u052f@])"
)


def _email(match: re.Match[str], before: str) -> bool:
    return True


# -- cards ---------------------------------------------------------------------------------------------------

_CARD = re.compile(
    r"(?<![\d.,+-])"
    r"(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|3\d{3}([ -])\d{6}\2\d{4,5}|\d{14,16}|\d{19})"
    r"(?![\d-]\d|\d)"
)
_ISSUERS = {
    14: re.compile(r"3(?:0[0-5]|[689])"),
    15: re.compile(r"3[47]"),
    16: re.compile(
        r"4|5[1-5]|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)|6(?:011|4[4-9]|5)|62|35(?:2[89]|[3-8])|9792|220[0-4]"
    ),
    19: re.compile(r"4|62|6011|65"),
}
"""{digits: how numbers of that length begin}: Diners, American Express, and all others."""


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    twice = [int(d) * 2 for d in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in twice)) % 10 == 0


def _card(match: re.Match[str], before: str) -> bool:
    digits = _digits(match.group())
    issuer = _ISSUERS.get(len(digits))
    return bool(issuer and issuer.match(digits) and luhn(digits) and not _NO_PHONE.search(before))


# -- IP addresses --------------------------------------------------------------------------------------------

_IP4 = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?![\w-]|\.\d)")
_IP6 = re.compile(
    r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])"
)


def _ip4(match: re.Match[str], before: str) -> bool:
    parts = match.group().split("/")[0].split(".")
    if any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in parts) or int(parts[0]) == 0:
        return False
    if _NETWORK.search(before):
        return True
    # 1.2.3.4 is a release, or a place in a manual.
    return not _RELEASE.search(before) and any(len(part) > 2 for part in parts)


def _ip6(match: re.Match[str], before: str) -> bool:
    text = match.group()
    if len(text) < 7 and not _NETWORK.search(before):
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


# -- phones --------------------------------------------------------------------------------------------------

_S = r"[ \u00a0.\-/–]"
_NUMBER = re.compile(
    rf"(?<![\w.,/#+-])(?:"
    rf"(?P<abroad>(?:\+|00)[1-9]\d{{0,2}}(?:[ \u00a0.\-/–()]{{0,2}}\d){{6,13}})"
    rf"|(?P<area>(?:[0178]{_S}?)?\(0?\d{{2,5}}\){_S}{{0,3}}\d{{2,5}}(?:{_S}?\d{{2,5}}){{1,3}})"
    rf"|(?P<american>1[38]00{_S}\d{{3}}{_S}\d{{3,4}}|(?:1{_S})?[2-9]\d\d(?P<sep>{_S})\d{{3}}(?P=sep)\d{{4}})"
    rf"|(?P<trunk>0[1-9]\d{{0,4}}(?:{_S}{{1,3}}\d{{2,8}}){{1,5}})"
    rf"|(?P<chinese>1[3-9]\d(?:[ -]\d{{4}}[ -]|\d{{4}})\d{{4}})"
    rf"|(?P<solid>0[1-9]\d{{8,9}})"
    rf"|(?P<told>\d(?:{_S}?\d){{6,12}})"
    rf")(?!\d|[-.,/–]\d|\w)"
)
_DATE = re.compile(
    r"(?:0?[1-9]|[12]\d|3[01])[./ -](?:0?[1-9]|[12]\d|3[01])[./ -](?:19|20)\d\d"
    r"|(?:19|20)\d\d ?[-–/] ?(?:19|20)\d\d"
)
_LENGTHS = {"abroad": (8, 15), "area": (8, 13), "trunk": (9, 12), "told": (7, 13)}


def _phone(match: re.Match[str], before: str) -> bool:
    text = match.group()
    kind = next(name for name, part in match.groupdict().items() if part and name != "sep")
    digits = _digits(text)
    low, high = _LENGTHS.get(kind, (10, 11))
    if not low <= len(digits) <= high or _DATE.match(text):
        return False
    if text.startswith("00") and text.isdigit() and len(text) < 11:
        return False
    asked = bool(_PHONE.search(before))
    if kind == "told" or (text.isdigit() and kind in ("solid", "abroad") and _traded(text)):
        return asked
    return asked or not _NO_PHONE.search(before)


def _traded(digits: str) -> bool:
    """Whether digits are a valid ISBN-10, or a GTIN (EAN, UPC) with its check digit."""
    if len(digits) == 10:
        return sum((10 - i) * int(d) for i, d in enumerate(digits)) % 11 == 0
    return (
        len(digits) in (8, 12, 13, 14)
        and sum(int(d) * (1 + 2 * (i % 2)) for i, d in enumerate(reversed(digits))) % 10 == 0
    )


# -- streets -------------------------------------------------------------------------------------------------

_UNIT = (
    r"(?:[GTM]B|inch(?:es)?|in|pack|pcs?|pieces?|[cm]?m|f(?:t|eet|oot)|oz|kg|lbs?|ml|l|watt|v(?:olt)?|amp|pairs?"
    r"|set|count|ct|hours?|days?|years?|miles?|km|gang|pole|speed|gallon|percent|ply|wheel|bit|player|seat|great|best"
    r"|new|nice|good|amazing|stars?|x|vs|and|or|of|for|to|at|on|in)"
)
_NO_ROAD = re.compile(
    r"\b(?:off|all|open|cross|mountain|high|hard|flash|usb|disk|disc|dvd|cd|optical|solid|ssd|hybrid|floppy|zip|thumb"
    r"|external|slim|pen|tape|portable|test|wheel|gear|belt|screw|one|two|three|four|five|\dx?|direct|roman|wall"
    r"|sesame|the|my|this|for|on|by|in|from|per|a)[\s-]+\S+$",
    re.I,
)
_ROAD = r"(?:Street|Avenue|Boulevard|Road|Lane|Crescent|Highway|Parkway|Terrace|Mews)"
_SHORT = r"(?:St|Ave|Blvd|Rd|Ln|Dr(?:ive)?|C(?:our)?t|Way|Pl(?:ace)?|Sq(?:uare)?|Hwy|Pkwy|Close|Grove)"
_WORD = r"(?:[A-ZÀ-Þ][\w'’.-]*|\d{1,3}(?:st|nd|rd|th))"
_FLAT = r"(?:,?\s+(?:apt|apartment|suite|ste|unit|flat|floor|#)\.?\s*#?\w{1,5})?"
# 221B Baker Street, 45 W 34th Ave Apt 5; in lower case only with a word that means nothing but a road
_ENGLISH = re.compile(
    rf"(?<![\w.,#-])\d{{1,5}}[A-Za-z]?,?\s+(?!(?i:{_UNIT})\b)(?:[NSEWnsew]\.?\s+)?"
    rf"(?:(?:{_WORD}\s+){{1,3}}(?:{_ROAD}|{_SHORT})\b\.?"
    r"|(?i:(?:[a-z][a-z'’.-]+|\d{1,3}(?:st|nd|rd|th))\s+){1,2}(?i:street|avenue|boulevard|road|lane)\b)"
    rf"(?i:{_FLAT})"
    r"|\b(?i:p\.? ?o\.? ?box|postfach)\s+\d{1,6}\b"
)
_HOUSE = r"\d{1,4}\s?[a-hA-H]?\b(?!\s*(?:cm|mm|m|kg|g|ml|l|Stück|x|€)\b)"
# Hauptstraße 12a, Am Alten Weg 5, Keizersgracht 123
_GERMAN = re.compile(
    r"(?:\b(?:Am|An der|Im|Zu[mr]|[A-ZÄÖÜ][a-zäöüß]+er|(?:Alt|Neu|Groß|Klein|Ober|Unter)en?|St\.|Sankt) |\b)"
    r"(?:[A-ZÄÖÜ][\wäöüß]+-)*(?:[A-ZÄÖÜ]?[\wäöüß-]*(?i:straße|strasse|str\.|weg|allee|gasse|gracht|straat|laan)"
    rf"|[A-ZÄÖÜ][\wäöüß-]+(?:platz|ufer))\s+{_HOUSE}"
)
# 12 rue de la Paix, 5 bis avenue Foch
_FRENCH = re.compile(
    r"(?<![\w.,])\d{1,4}(?:\s?(?:bis|ter|[a-d]))?,?\s+(?i:rue|avenue|boulevard|impasse|allée|quai|chemin|place)\s+"
    r"(?:(?:de|du|des|la|le|les|d['’]|l['’]|sainte?)[\s-]?){0,3}[A-ZÀ-Þa-zà-þ][\w'’-]+"
    r"(?:[ -][A-ZÀ-Þ][\w'’-]+)*"
)
# Calle Mayor 12; Via Roma, 10; Rua Augusta 1500
_SOUTHERN = re.compile(
    r"\b(?:(?i:calle|avenida|avda\.?|paseo|plaza|viale|corso|piazza|rua|travessa|ulica|ul\.)|Via)\s+"
    r"(?:(?:del?|della|dei|la|las|los|d[ao]s?)\s+){0,2}[A-ZÀ-Þ][a-zà-þ'’.][\w'’.-]*(?:\s+(?:(?:del?|d[ao])\s+)?"
    r"[A-ZÀ-Þ][\w'’.-]+){0,3},?\s+(?:n[º°.]?\s*)?\d{1,4}\b"
)
# 建国路88号, 渋谷区道玄坂1-2-3
_EASTERN = re.compile(
    r"[\u4e00-\u9fff]{1,12}(?:[路街道巷弄]|胡同)\s?\d{1,5}\s?[号號弄]"
    r"(?:[\u4e00-\u9fff\d-]{0,10}(?:室|楼|单元|栋))?"
    r"|[\u4e00-\u9fff]{1,8}[区市町村][\u3040-\u30ff\u4e00-\u9fff]{1,10}\d{1,3}(?:丁目(?:[-−]?\d{1,4}){0,2}|(?:[-−]\d{1,4}){2})"
)
_RUSSIAN = re.compile(
    r"(?i:улица|ул\.|проспект|пр-т|переулок)\s+[А-ЯЁ][\w.-]+(?:\s+[А-ЯЁ][\w.-]+)?,?\s+(?:д(?:ом|\.)?\s*)?\d{1,4}\b"
)
_STREETS = (_ENGLISH, _GERMAN, _FRENCH, _SOUTHERN, _EASTERN, _RUSSIAN)


def _street(match: re.Match[str], before: str) -> bool:
    core = re.sub(rf"(?i:{_FLAT})$", "", match.group()).rstrip(".")
    no_road = match.re is _ENGLISH and _NO_ROAD.search(core)
    return not no_road and not _NO_PHONE.search(before)


KINDS: dict[str, tuple[tuple[re.Pattern[str], Judge], ...]] = {
    "email": ((_EMAIL, _email),),
    "ip": ((_IP4, _ip4), (_IP6, _ip6)),
    "card": ((_CARD, _card),),
    "phone": ((_NUMBER, _phone),),
    "address": tuple((shape, _street) for shape in _STREETS),
}
"""{kind: shapes and who judges them}, in the order they are looked for: what one takes none after it sees."""
LOOKED_AT = r"\d|[@＠]|(?i:[(\[{] ?at ?[)\]}])|(?i: at .* dot )|:[0-9a-fA-F]{0,4}:"
"""A text in which this is not found holds nothing; for polars as well."""


def found(text: str) -> list[Found]:
    """What is found in a text, in its order; nothing overlaps.

    A word speaks for a number on its own line only.
    """
    spans: list[Found] = []
    for kind, shapes in KINDS.items():
        for shape, judge in shapes:
            start = 0
            while match := shape.search(text, start):
                before = text[max(0, match.start() - _BEFORE) : match.start()].rpartition("\n")[2]
                start = _next(text, match)
                while match and not judge(match, before):
                    # A number may have run into the next one.
                    shorter = text.rfind(" ", match.start(), match.end())
                    match = shape.match(text, match.start(), shorter) if shorter > match.start() else None
                if match:
                    start = match.end()
                    spans.append(Found(kind, match.start(), start))
                    # Out of the sight of the next kinds, and every place stays where it is.
                    text = text[: match.start()] + "\0" * (start - match.start()) + text[start:]
    return sorted(spans, key=lambda span: span.start)


def _next(text: str, match: re.Match[str]) -> int:
    # Within what was refused another may begin, but no tail of the same number.
    end = match.start() + 1
    while end < match.end() and (text[end].isalnum() or text[end] in ".-:/"):
        end += 1
    return end


def masked(text: str) -> tuple[str, list[str]]:
    """A text with `[email]`, `[phone]` and so on in place of what was found, and the kinds of that."""
    out, end, spans = [], 0, found(text)
    for span in spans:
        out += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join([*out, text[end:]]), [span.kind for span in spans]
