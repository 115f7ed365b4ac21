"""Postal addresses by conservative patterns: a street with a number, a box, a unit, a postal code where one belongs.

Patterns begin with the character they look for and look behind it afterwards: Python's engine then skips to that character,
which makes them several times faster than with the look-behind in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.checking.privacy_hits import Hit

CAPITAL = r"[A-ZÀ-ÖØ-ÞĀ-Ž][\w.'’-]*"
NUMBER = r"\d(?<![\w.,$€£#/-]\d)\d{0,4}[A-Za-z]?"
STREET_WORD = (
    "Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Way|Parkway|Pkwy|"
    "Highway|Hwy|Crescent|Close|Circle|Cir|Trail|Trl|Row|Gardens|Grove|Mews|Quay|Esplanade|Parade"
)
STREET = re.compile(
    rf"{NUMBER},? (?:(?:\d{{1,3}}(?:st|nd|rd|th)|\d{{1,5}}|{CAPITAL}) ){{1,4}}(?:{STREET_WORD})\b\.?"
    r"(?: (?:N|S|E|W|NE|NW|SE|SW)\b)?"
)
# Written small, only words that mean nothing but a street, right behind a name: "12 oak street", not "2 days down the road".
SMALL_STREET = re.compile(
    rf"{NUMBER} (?:(?!the|a|an|my|your|this|that|of|on|in|down|days?|more|other|way|different)[^\W\d_][\w'-]+ ){{1,2}}"
    r"(?:street|avenue|boulevard|road|lane)\b"
)
FRENCH = re.compile(
    rf"{NUMBER},? (?:[Rr]ue|[Aa]venue|[Bb]oulevard|[Pp]lace|[Cc]hemin|[Aa]llée|[Qq]uai)"
    rf"(?: (?:de|du|des|la|le|les)\b| d'| l')* ?"
    rf"{CAPITAL}(?: {CAPITAL}){{0,3}}"
)
# Elsewhere the kind of street is part of the word or stands first, and the number comes last.
LAST_NUMBER = re.compile(r" (?:(?<=[^\W\d_] )|(?<=[a-z][.,] ))\d{1,4}[a-zA-Z]?(?!\w|[.,]\d)")
STREET_BEFORE = re.compile(
    r"(?:[A-ZÀ-ÖØ-ÞĀ-Ž][\w.'’-]+ )?(?<!\w)[^\W\d_]+(?:straat|straße|strasse|str\.|gasse|weg|gatan|vägen|vegen|veien|"
    r"vej|gade|laan|plein|gata|"
    r"katu|tie|platz|allee|steenweg|dreef|lei|utca|utja)$|"
    r"(?<!\w)(?:Rua|Via|Viale|Calle|Avenida|Avda\.?|Piazza|Corso|Plaza|ul\.|ulica|Carrer|Camino|Camiño|Paseo|Largo|Strada)"
    rf"(?: (?:de|da|do|del|della|dei|di|la|las|los)\b)*(?: {CAPITAL}){{1,4}},?$"
)
BEHIND = 60
BOX = re.compile(r"[Pp](?<!\w[Pp])(?:\.? ?[Oo]\.? ?[Bb]ox|SC|ostfach|ostbus)[ ]\d{1,6}(?:,? [Bb]ox \d{1,6})?")
UNIT = re.compile(r"[ASFasf](?<!\w[ASFasf])(?:pt\.?|PT\.?|partment|uite|UITE|lat)[ ]#?\d{1,5}[A-Za-z]?\b")
STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|"
    "TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR|AA|AE|AP"
)
POSTAL = re.compile(
    rf"[A-Z](?<!\w[A-Z])[A-Z] (?<=(?:{STATES}) )\d{{5}}(?:-\d{{4}})?(?![\w-])|"
    r"[A-Z](?<!\w[A-Z])[A-Z]?\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}(?!\w)|[A-Z](?<!\w[A-Z])\d[A-Z] \d[A-Z]\d(?!\w)"
)
NAMED_CODE = re.compile(
    r"\b(?:zip|zip ?code|postal ?code|post ?code|plz)(?: is|:)? (\d{4,5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})(?![\w-])",
    re.IGNORECASE,
)
NAMED_CODE_WORDS = ("zip", "ZIP", "Zip", "ost", "OST", "PLZ", "plz")
# After words that announce an address, a number and a capitalised word, or a capitalised word and a number, begin one.
ANNOUNCED = re.compile(
    r"(?:ddress(?: is| to|:)|ives? at|iving at|hip(?:ped)? to|eliver(?:ed)? (?:it )?to|ent to|oved to|ocated at)[:\s]+"
    rf"(\d{{1,5}}[A-Za-z]?,? [A-ZÀ-ÖØ-ÞĀ-Ž]\w[\w.'’-]*(?: (?:{CAPITAL}|\d{{1,5}}))*|{CAPITAL}(?: {CAPITAL}){{0,3}} \d{{1,4}}\b)"
)
ANNOUNCED_WORDS = ("ddress", "ive at", "ives at", "iving at", "hip", "eliver", "ent to", "oved to", "ocated at")
SMALL_WORDS = (" street", " avenue", " boulevard", " road", " lane")
# What may stand between two parts of one address: a line's end, a comma, a town.
GAP = re.compile(rf"[ ,\r\n]{{1,4}}(?:{CAPITAL}(?: {CAPITAL}){{0,2}}[ ,\r\n]{{1,4}})?")
# Without these no pattern can begin: most texts with digits hold lists, prices and order numbers.
NUMBER_FIRST = re.compile(r"\d[A-Za-z]?,? \w")
NUMBER_AFTER = re.compile(r"\d(?:(?<= \d)|(?<= #\d))")


def addresses_in(text: str) -> list[Hit]:
    """Hits of one text; parts that only commas, spaces or a line's end divide are one address."""
    spans: list[tuple[int, int, float]] = []
    if NUMBER_FIRST.search(text):
        streets = [*STREET.finditer(text), *FRENCH.finditer(text)]
        if any(map(text.__contains__, SMALL_WORDS)):
            streets += SMALL_STREET.finditer(text)
        spans += [(match.start(), match.end(), 0.8) for match in streets]
    if NUMBER_AFTER.search(text):
        spans += _numbers_last(text)
        spans += [(match.start(), match.end(), 0.7) for pattern in (BOX, POSTAL) for match in pattern.finditer(text)]
        spans += [(match.start(), match.end(), 0.5) for match in UNIT.finditer(text)]
    for pattern, some in ((NAMED_CODE, NAMED_CODE_WORDS), (ANNOUNCED, ANNOUNCED_WORDS)):
        if any(map(text.__contains__, some)):
            spans += [(*match.span(1), 0.6) for match in pattern.finditer(text)]
    return list(_joined(text, sorted(spans)))


def _numbers_last(text: str) -> Iterator[tuple[int, int, float]]:
    for number in LAST_NUMBER.finditer(text):
        low = max(0, number.start() - BEHIND)
        if street := STREET_BEFORE.search(text[low : number.start()]):
            yield low + street.start(), number.end(), 0.8


def _joined(text: str, spans: list[tuple[int, int, float]]) -> Iterator[Hit]:
    whole: tuple[int, int, float] | None = None
    for start, end, score in spans:
        if whole and (start <= whole[1] or GAP.fullmatch(text, whole[1], start)):
            whole = (whole[0], max(end, whole[1]), max(score, whole[2]))
            continue
        if whole:
            yield Hit("address", whole[0], whole[1], whole[2], "a street, box or postal code")
        whole = (start, end, score)
    if whole:
        yield Hit("address", whole[0], whole[1], whole[2], "a street, box or postal code")
