"""What stands where personal data stood: one placeholder a person or value, or a made-up value that looks like it.

The tables are small and our own: a name list as long as Faker's would add a megabyte and no privacy. Whatever has a reserved
range takes it: example.com (RFC 2606), 555-01xx (NANP's fiction block), 192.0.2.0/24 and its sisters (RFC 5737), 2001:db8::/32
(RFC 3849), card numbers in the test range, IBANs with check digits 00, social security numbers in an area never given out.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace as changed
from hashlib import sha256
from typing import Literal

from pipeline.checking.finding import Finding, Messages
from pipeline.checking.privacy_hits import flat

Style = Literal["placeholder", "surrogate"]
LABELS = {
    "email": "EMAIL", "phone": "PHONE", "card": "CARD", "iban": "IBAN", "ip": "IP", "ssn": "SSN", "id_number": "ID",
    "link_token": "LINK", "name": "NAME", "address": "ADDRESS",
}  # fmt: skip
PLACED = re.compile(rf"\[({'|'.join(LABELS.values())})_(\d+)\]")


def normal(value: str) -> str:
    """The value as it is compared: no case, no accents written in two ways, and of numbers only what counts."""
    text = unicodedata.normalize("NFKC", flat(value)).casefold().strip()
    if "@" in text or "://" in text:
        return text
    if sum(letter.isdigit() for letter in text) >= 5:
        return re.sub(r"[^0-9a-z]", "", text) if not re.search(r"[^\W\d_]{3}", text) else " ".join(re.findall(r"\w+", text))
    return " ".join(re.findall(r"[\w.:]+", text))


def phone_key(value: str) -> str:
    """What two spellings of one number share: +44 20 7946 0958 and 020 7946 0958, with or without the extension."""
    digits = re.sub(r"\D", "", re.split(r"[xe]", flat(value).lower())[0])
    return digits[-10:] if len(digits) > 10 else digits.lstrip("0")


class Placeholders:
    """The placeholders of one conversation, given in the order of asking.

    A name whose words are all part of an earlier one ("Ana" after "Ana Lopez"), or hold all of it, is the same person.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._last = dict.fromkeys(LABELS.values(), 0)
        for label, number in (found for text in texts if "[" in text for found in PLACED.findall(text)):
            self._last[label] = max(self._last[label], int(number))
        self._given: dict[tuple[str, str], str] = {}
        self._people: list[tuple[frozenset[str], str]] = []

    def of(self, kind: str, value: str) -> str:
        """The placeholder of this value, a new one where it was not met before."""
        if kind == "name":
            return self._of_person(frozenset(normal(value).replace(".", " ").split()))
        key = (kind, phone_key(value) if kind == "phone" else normal(value))
        if key not in self._given:
            self._given[key] = self._next(LABELS[kind])
        return self._given[key]

    def _of_person(self, tokens: frozenset[str]) -> str:
        for place, (known, placeholder) in enumerate(self._people):
            if tokens <= known or known <= tokens:
                self._people[place] = (known | tokens, placeholder)
                return placeholder
        self._people.append((tokens, self._next("NAME")))
        return self._people[-1][1]

    def _next(self, label: str) -> str:
        self._last[label] += 1
        return f"[{label}_{self._last[label]}]"


def replace(messages: Messages, findings: Sequence[Finding], style: Style, seed: str) -> list[Finding]:
    """The findings with replacements in this style; those of other groups come back as they are.

    A surrogate depends on `seed` (the conversation's id), the kind and the value alone: the same everywhere in a conversation,
    another in the next. A person keeps first and last name apart, a number its length and separators.
    """
    if style == "placeholder":
        return list(findings)
    fullest: dict[str, str] = {}
    for finding in findings:
        if finding.kind == "name" and finding.replacement:
            fullest[finding.replacement] = max(
                _value(messages, finding), fullest.get(finding.replacement, ""), key=lambda name: len(name.split())
            )
    return [
        changed(
            finding, replacement=_surrogate(finding.kind, _value(messages, finding), fullest.get(finding.replacement, ""), seed)
        )
        if finding.kind in LABELS and finding.replacement
        else finding
        for finding in findings
    ]


def _value(messages: Messages, finding: Finding) -> str:
    return messages[finding.turn]["content"][finding.start : finding.end]


# Surrogates -------------------------------------------------------------------------------------------------------------

_FIRST = """
Ada Alba Amir Anika Arlo Bea Benno Carla Cleo Dario Della Edda Elio Emre Fay Felix Gia Gus Hanna Hugo Ida Ilya Jana Jonas Kaya
Kian Lena Levi Lola Luca Maja Milo Mina Nadia Nico Nora Olga Otis Petra Pia Quinn Rafa Rhea Rosa Sami Selma Silas Tara Theo
Uma Vera Viktor Wilma Yara Zeno
"""
FIRST = tuple(_FIRST.split())
_LAST = """
Abbot Almeida Arden Bergman Blume Calder Castell Dorsey Dunmore Egan Ellery Falk Ferro Garland Greer Hadley Holm Ingram
Iversen Jansen Keller Kemp Larkin Lindqvist Marlow Mercer Nash Novak Oakley Olsen Paxton Pereira Quill Ramsey Rosen Sandoval
Sorel Tanner Thorne Ulrich Vance Vidal Weston Winslow Yates Yoon Zeller Zimmer
"""
LAST = tuple(_LAST.split())
STREETS = ("Sample Street", "Example Avenue", "Placeholder Road", "Specimen Lane", "Model Drive", "Template Court")
BRANDS = {"3": "378282", "5": "555555", "6": "601111", "2": "222300"}


def _surrogate(kind: str, value: str, person: str, seed: str) -> str:
    if kind == "name":
        return _person(value, person, seed)
    dice = _dice(seed, kind, phone_key(value) if kind == "phone" else normal(value))
    smooth = flat(value)
    match kind:
        case "email":
            return f"{dice.choice(FIRST)}.{dice.choice(LAST)}{dice.randrange(10, 100)}@example.com".lower()
        case "phone":
            return _phone(smooth, dice)
        case "card":
            return _card(smooth, dice)
        case "iban":
            return smooth[:2] + "00" + _same_shape(smooth[4:], dice)
        case "ip" if ":" in smooth:
            return f"2001:db8:{dice.randrange(65536):x}::{dice.randrange(1, 65536):x}"
        case "ip":
            return f"{dice.choice(('192.0.2', '198.51.100', '203.0.113'))}.{dice.randrange(1, 255)}"
        case "ssn":
            # 900-999 was never an area; groups under 50 there are no taxpayer numbers either.
            return _filled(smooth, f"9{dice.randrange(100):02}{dice.randrange(1, 50):02}{dice.randrange(1, 10000):04}")
        case "link_token":
            return f"https://example.com/{dice.getrandbits(32):08x}"
        case "address":
            return f"{dice.randrange(1, 1000)} {dice.choice(STREETS)}"
    return _same_shape(smooth, dice)


def _dice(*parts: str) -> random.Random:
    return random.Random(int.from_bytes(sha256("\x1f".join(parts).encode()).digest()[:8]))


def _person(value: str, person: str, seed: str) -> str:
    """The words of the fullest form of the name map to made-up words in their places; shorter forms take theirs from it."""
    tokens = normal(person or value).replace(".", " ").split()
    dice = _dice(seed, "name", " ".join(sorted(tokens)))
    last = dice.choice(LAST)
    made = {token: last if len(tokens) > 1 and token == tokens[-1] else dice.choice(FIRST) for token in tokens}
    return " ".join(made.get(token, last) for token in normal(value).replace(".", " ").split())


def _phone(value: str, dice: random.Random) -> str:
    """The country's digits stay behind a plus, the area becomes another, the last seven are 555-01xx."""
    count = sum(letter.isdigit() for letter in value)
    if count < 7:
        return _same_shape(value, dice)
    ahead = re.match(r"\+\d{1,2}|0{0,2}", value)
    kept = re.sub(r"\D", "", ahead[0] if ahead else "")[: count - 7]
    area = "".join(str(dice.randrange(2, 10)) for _ in range(count - 7 - len(kept)))
    return _filled(value, f"{kept}{area}55501{dice.randrange(100):02}")


def _card(value: str, dice: random.Random) -> str:
    count = sum(letter.isdigit() for letter in value)
    first = next(letter for letter in value if letter.isdigit())
    body = BRANDS.get(first, "400000") + "".join(str(dice.randrange(10)) for _ in range(count - 7))
    total = sum(sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10)) for place, digit in enumerate(reversed(body)))
    return _filled(value, body + str(-total % 10))


def _filled(shape: str, digits: str) -> str:
    """These digits in the separators of the shape, which has as many."""
    rest = iter(digits)
    return "".join(next(rest) if letter.isdigit() else letter for letter in shape)


def _same_shape(value: str, dice: random.Random) -> str:
    """Every digit another digit, every letter another of its case, the rest as it was."""
    return "".join(
        str(dice.randrange(10))
        if letter.isdigit()
        else _letter(letter, dice)
        if letter.isascii() and letter.isalpha()
        else letter
        for letter in value
    )


def _letter(letter: str, dice: random.Random) -> str:
    made = dice.choice("ABCDEFGHJKLMNPRSTUVWXYZ")
    return made if letter.isupper() else made.lower()
