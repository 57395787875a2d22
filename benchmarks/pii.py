"""Claim: personal data in what customers write is found; numbers of models, sizes and orders are left alone.

Work: 10,000 texts, queries and reviews in six languages, a third of them with an e-mail address, a phone or
card number, an IP address or a street planted, all full of what looks alike: model numbers, valid EANs and
ISBNs, sizes, prices, dates, releases, order and part numbers. What is planted is put together from parts, as
people of each country write them; nothing here knows how the detector looks for it. Something planted counts
as found if all of it is masked as what it is; something masked is right if it is that and no more. The
seed is not the one that the detector was mended on.
"""

from __future__ import annotations

import ipaddress
import os
from collections import Counter

import numpy as np
from assay.components.ingest.personal import KINDS, found
from record import record
from rich.console import Console
from rich.table import Table

TEXTS = 10_000
SEED = 20_261_128
SLACK = 2
"""Characters, such as a closing bracket, that may be masked beside something."""


def _forms(block: str) -> list[str]:
    lines = block.strip().splitlines()
    return [form.replace("<newline>", "\n") for line in lines for form in line.strip().split(" | ")]


PHONES = _forms("""
(N##) N##-#### | N##-N##-#### | N##.N##.#### | +1 N## N## #### | 1-N##-N##-#### | +1 (N##) N##-####
+44 7### ###### | 07### ###### | 07######### | 020 7### #### | 0161 ### #### | +44 (0)20 7### ####
0151 ######## | 0176/######## | 030 / ####### | +49 (0)89 ###### | +49171####### | 089-#######
0221 ## ## ## | 06 ## ## ## ## | 06.##.##.##.## | +33 6 ## ## ## ## | 01 ## ## ## ## | +336########
+34 6## ### ### | +39 3## ####### | +31 6 ######## | 06-######## | +55 (11) 9####-####
(11) 9####-#### | 138######## | 159 #### #### | +86 186 #### #### | 010-6### #### | 090-####-####
03-####-#### | +81 90-####-#### | +7 (9##) ###-##-## | 8 (9##) ###-##-## | +91 9#### #####
+82 10-####-#### | 010-####-####
""")
ASKED = _forms("""
N######### | N## N###### | 6## ### ### | 9#### ##### | ###-####
""")
"""Numbers that are known for phones by the words around them alone."""
ASKING = _forms("""
call me on {} | tel: {} | my phone is {} | whatsapp {} | mobile {} | Telefon {} | 电话 {} | text {}
""")
FIRST = _forms("""
anna | ben | carla | dmitri | elif | fatima | george | hiro | ines | jürgen | kofi | lena | miguel
nora | olaf | priya
""")
LAST = _forms("""
smith | müller | garcia | rossi | tanaka | ivanova | dubois | jensen | novak | oconnor | silva
kowalski | chen | patel
""")
HOSTS = _forms("""
gmail.com | yahoo.co.uk | web.de | gmx.net | outlook.com | qq.com | 163.com | orange.fr | mail.ru
acme-shop.eu | uni.edu
""")
STREETS = {
    "english": (
        _forms("""
            {n} {w} Street | {n} {w} St. | {n} {w} Avenue | {n} N {w} Rd | {n} {w} Lane, Apt 4
            {n}b {w} Drive | {n} {w} {w} Blvd | {n} W 34th Street | {n} {l} street | {n} {l} avenue
        """),
        _forms("""
            Main | Oak | Maple | Elm | Washington | Baker | Church | Victoria | Highfield | Cedar
            Lincoln
        """),
    ),
    "german": (
        _forms("""
            {w}straße {n} | {w}str. {n}a | {w}weg {n} | {w}allee {n} | {w}platz {n} | {w}gasse {n} b
        """),
        _forms("""
            Haupt | Garten | Bahnhof | Schiller | Goethe | Linden | Kirch | Berg
        """),
    ),
    "french": (
        _forms("""
            {n} rue de la {w} | {n} avenue {w} | {n} bis rue {w} | {n}, boulevard {w} | {n} rue du {w}
        """),
        _forms("""
            Paix | Foch | Voltaire | République | Pasteur | Gambetta | Moulin
        """),
    ),
    "spanish": (
        _forms("""
            Calle {w} {n} | Calle de {w}, {n} | Avenida {w} {n} | Plaza {w} {n}
        """),
        _forms("""
            Mayor | Alcalá | Serrano | Velázquez | Goya
        """),
    ),
    "italian": (
        _forms("""
            Via {w} {n} | Via {w}, {n} | Corso {w} {n}
        """),
        _forms("""
            Roma | Garibaldi | Mazzini | Verdi | Dante
        """),
    ),
    "dutch": (
        _forms("""
            {w}gracht {n} | {w}straat {n} | {w}laan {n}
        """),
        _forms("""
            Keizers | Prinsen | Kerk | Beuken
        """),
    ),
    "chinese": (
        _forms("""
            {w}路{n}号 | {w}街{n}号
        """),
        _forms("""
            北京市朝阳区建国 | 上海市南京东 | 中山 | 解放
        """),
    ),
    "japanese": (
        _forms("""
            {w}{s}-{s}-{s}
        """),
        _forms("""
            渋谷区道玄坂 | 新宿区西新宿 | 港区六本木
        """),
    ),
    "russian": (
        _forms("""
            ул. {w}, {n} | улица {w}, д. {n}
        """),
        _forms("""
            Ленина | Пушкина | Гагарина | Садовая
        """),
    ),
}
CARRIERS = _forms("""
{p} | {d} {p} | please contact me at {p} about the {d} | Great product ({d}). Write to {p} for more!
I ordered {d} and it never came, {p}, please help | {p} - {d} | Bitte melden: {p}. Es geht um {d}
envíen el {d} a {p} gracias | livraison au {p} pour {d} | 请联系 {p} 关于 {d} | {d}; my details: {p}
size was wrong, {d}<newline>{p} | "{p}" is what I gave you for {d} | {d} {p} {d}
""")
PLAIN = _forms("""
{d} | {d} {d} | looking for {d} or {d} | The {d} broke after 2 weeks, replaced by {d}. | {d} vs {d}
Habe {d} gekauft, passt zu {d} | compré {d} y {d} | 买了 {d} 很好 | 4 stars: {d}, not {d}
need {d} for {d}
""")
DECOYS = _forms("""
iPhone 1# Pro ###GB A2### | SM-G9##B/DS | Canon EF 24-70mm f/2.8L | WH-1000XM# | RTX 40#0 Ti 12GB
LEGO 4#### | Makita DHP#82Z 18V | Bosch GSR 12V-15 | 205/55 R16 91V | CR20## battery
M6x## screws (###-pack) | DDR4-3200 16GB | ##x##x## cm | size ##-##-## | EU 4# / US 1# | W3# L3#
##" x ##" | 1##0 x 8#0 mm | 90x200 | 3-4 years | S/M/L | EAN {ean} | {ean} | {upc} | UPC {upc}
ISBN {isbn10} | {isbn10} | ISBN 978-0-###-#####-# | {ean} {ean} | $#,##9.99 | 1.2##,00 EUR | ¥12,##0
R$ 1.##9,90 | ##.99 | 2 for 10.00 | -20% (was 1##.00) | 3 @ 4.50 | firmware 1.0.#.## | v2.##.#.1
version 10.0.#9.100 | Android 1#.0.1 | driver 31.0.15.3### | USB 3.2 Gen 2x2
order 1##-#######-####### | order no. 5######## | order #40######## | Bestellnummer 30########
订单 2024########## | part no 8#0-1234-567 | P/N ###-######-## | sku 07##-22##-9 | model 555-###-####
art. nr. 0###.###.## | B08N5##### | serial 35########## | IMEI 35#############
tracking 1Z999AA1########## | item 4########### | case 4### #### | 12/0#/2024 | 2024-0#-1# 12:3#
01-0#-2023 | 1#.0#.2022 14:00 | 0#:45:12 | 00:1A:2B:3C:4D:5E | #FF5733 | 1 : 64 | 64 GB Flash Drive
# TB Hard Drive | 12 Volt Two Way Radio | 1000 piece puzzle Main Street | 4 Wheel Drive
26 inch Mountain Road bike | route 66 jacket | 24 hour Drive | 2 pack Sesame Street
Abbey Road 50th | 5 Star Place mat | Wall Street 2 | Weg mit 5 kg | Platz 3 | U2 Joshua | via HDMI 2
@nike shoes | a@b | size 10 at dot com prices | 100 200 300 | 12 34 56 | 7 8 9 10 11 12 13
5000 mAh | 1080p 60Hz 144Hz | 200 x 300 x 400 | 6.1 5.1 2.0 4.0
""")

Planted = tuple[str, str]
"""(kind, text)."""


class Writer:
    """Writes texts, and knows what it planted.

    Args:
        seed: Of all that is drawn.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def pick(self, of):
        """One of some."""
        return of[int(self.rng.integers(len(of)))]

    def drawn(self, form: str) -> str:
        """A form with digits for `#` and `N`."""
        digit = {"#": lambda: self.rng.integers(10), "N": lambda: self.rng.integers(2, 10)}
        # Capital N is a digit only in forms of phones, which have no letters.
        letters = any(c.isalpha() and c != "N" for c in form)
        return "".join(str(digit[c]()) if c == "#" or (c == "N" and not letters) else c for c in form)

    def email(self) -> str:
        """As typed, and as spelt out for fear of robots."""
        first, last, host = self.pick(FIRST), self.pick(LAST), self.pick(HOSTS)
        dotted = host.replace(".", " dot ")
        return self.pick(
            (f"{first}.{last}@{host}",
             f"{first}{self.rng.integers(10, 99)}@{host}", f"{first[0]}{last}@{host}",
             f"{first}_{last}@{host}".title(), f"{first}.{last}+shop@{host}", f"{first}-{last}@mail.{host}",
             f"{first} @ {host}", f"{first}.{last} (at) {host}", f"{first}[at]{host}", f"{last} at {dotted}",
             f"{first}.{last}(at){host.replace('.', '(dot)')}", f"{first}＠{host}")
        )  # fmt: skip

    def phone(self) -> str:
        """Of some country."""
        return self.drawn(self.pick(PHONES))

    def card(self) -> str:
        """A number that its issuer could have given, whole or in blocks."""
        start = self.pick(("4", "4", "5" + self.pick("12345"), "2221", "37", "6011", "3528", "62", "36"))
        blocks = {"37": (4, 6, 5), "36": (4, 6, 4)}.get(start, (4, 4, 4, 4))
        if start == "62" and self.rng.random() < 0.5:
            blocks = (4, 4, 4, 4, 3)
        body = start + self.drawn("#" * (sum(blocks) - 1 - len(start)))
        total = sum(sum(divmod(int(d) * (2 - place % 2), 10)) for place, d in enumerate(reversed(body)))
        number, parts = body + str(-total % 10), []
        for size in blocks:
            parts, number = [*parts, number[:size]], number[size:]
        return self.pick(("", " ", "-", " ")).join(parts)

    def ip(self) -> str:
        """Of either version."""
        if self.rng.random() < 0.3:
            words = [int(w) for w in self.rng.integers(0, 65_536, 8)]
            if self.rng.random() < 0.6:
                at = int(self.rng.integers(1, 4))
                words[at : at + 4] = [0, 0, 0, 0]
            address = ipaddress.IPv6Address(
                int.from_bytes(b"".join(w.to_bytes(2, "big") for w in words), "big")
            )
            return self.pick((address.compressed, address.exploded, address.compressed.upper()))
        start = self.pick(
            (f"{self.rng.integers(11, 224)}.{self.rng.integers(0, 256)}", "192.168", "10.0", "172.16")
        )
        return f"{start}.{self.rng.integers(0, 256)}.{self.rng.integers(100, 255)}"

    def address(self) -> str:
        """Of some country."""
        forms, words = STREETS[self.pick(list(STREETS))]
        form = self.pick(forms)
        while "{w}" in form:
            form = form.replace("{w}", self.pick(words), 1)
        form = form.replace("{l}", self.pick(words).lower()).replace("{n}", str(self.rng.integers(1, 400)))
        while "{s}" in form:
            form = form.replace("{s}", str(self.rng.integers(1, 30)), 1)
        return form

    def decoy(self) -> str:
        """What is nobody's."""
        form = self.pick(DECOYS)
        for name, make in (("ean", self._ean), ("upc", self._upc), ("isbn10", self._isbn10)):
            while f"{{{name}}}" in form:
                form = form.replace(f"{{{name}}}", make(), 1)
        return self.drawn(form)

    def _checked(self, body: str) -> str:
        total = sum(int(d) * (3 if place % 2 == 0 else 1) for place, d in enumerate(reversed(body)))
        return body + str(-total % 10)

    def _ean(self) -> str:
        return self._checked(self.pick(("400", "501", "690", "871", "019")) + self.drawn("#########"))

    def _upc(self) -> str:
        return self._checked(self.drawn("0##########"))

    def _isbn10(self) -> str:
        while True:
            body = self.drawn("0########")
            check = -sum((10 - i) * int(d) for i, d in enumerate(body)) % 11
            if check < 10:
                return body + str(check)

    def text(self) -> tuple[str, list[tuple[str, int, int]]]:
        """A text, and (kind, start, end) of what is planted in it."""
        if self.rng.random() > 1 / 3:
            form = self.pick(PLAIN)
            while "{d}" in form:
                form = form.replace("{d}", self.decoy(), 1)
            return form, []
        kind = self.pick(list(KINDS))
        form, value = self.pick(CARRIERS), getattr(self, kind)()
        if kind == "phone" and self.rng.random() < 0.15:
            form, value = (
                form.replace("{p}", self.pick(ASKING).replace("{}", "{p}")),
                self.drawn(self.pick(ASKED)),
            )
        while "{d}" in form:
            form = form.replace("{d}", self.decoy(), 1)
        start = form.index("{p}")
        return form.replace("{p}", value), [(kind, start, start + len(value))]


def measured(seed: int, texts: int, shown: int = 0) -> dict[str, dict[str, float]]:
    """Recall and precision of each kind and of all; prints the first few that were missed or wrong."""
    writer, count = Writer(seed), Counter()
    for _ in range(texts):
        text, planted = writer.text()
        spans = found(text)
        for kind, start, end in planted:
            hit = any(s.kind == kind and s.start <= start and s.end >= end for s in spans)
            count[kind, "planted"] += 1
            count[kind, "found"] += hit
            if not hit and count["shown"] < shown:
                count["shown"] += 1
                print(
                    "missed",
                    kind,
                    repr(text[start:end]),
                    "in",
                    repr(text),
                    [text[s.start : s.end] for s in spans],
                )
        for span in spans:
            right = any(
                span.kind == kind and span.start < end and start < span.end
                and span.start >= start - SLACK and span.end <= end + SLACK
                for kind, start, end in planted
            )  # fmt: skip
            count[span.kind, "masked"] += 1
            count[span.kind, "right"] += right
            if not right and count["shown"] < shown:
                count["shown"] += 1
                print("wrong", span.kind, repr(text[span.start : span.end]), "in", repr(text))
    lines = {}
    for kind in (*KINDS, "all"):
        sums = {
            what: sum(count[k, what] for k in (KINDS if kind == "all" else (kind,)))
            for what in ("planted", "found", "masked", "right")
        }
        lines[kind] = sums | {
            "recall": round(sums["found"] / sums["planted"], 4),
            "precision": round(sums["right"] / max(1, sums["masked"]), 4),
        }
    return lines


def main() -> None:
    """Write, find, count."""
    lines = measured(SEED, TEXTS // (10 if os.environ.get("QUICK") else 1), int(os.environ.get("SHOW", 0)))
    table = Table("kind", "planted", "found", "masked", "right", "recall", "precision", title="pii")
    for kind, line in lines.items():
        table.add_row(kind, *(str(value) for value in line.values()))
    Console(width=120).print(table)
    bounds = {
        "recall": (lines["all"]["recall"], ">=", 0.98),
        "precision": (lines["all"]["precision"], ">=", 0.95),
    }
    record("pii", {"texts": TEXTS, "seed": SEED, "kinds": lines}, bounds)


if __name__ == "__main__":
    main()
