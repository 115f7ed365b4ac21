"""Personal data in a conversation: found by Microsoft Presidio's recognisers, reported with one placeholder a person or value.

Presidio's `AnalyzerEngine` runs a spaCy pipeline and every recogniser over every text. Here each of its recognisers is called
directly and only on the short piece a cheap pattern points at, so a record without personal data costs microseconds. Nothing
is ever downloaded. Structured kinds live in `privacy_numbers` and `privacy_phones`, names and addresses in `privacy_names` and
`privacy_places`, placeholders and surrogates in `pseudonyms`.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence

from pipeline.checking.finding import Finding, Kind, Messages
from pipeline.checking.privacy_hits import VEIL, Hit
from pipeline.checking.privacy_names import NameFinder, known_people, names_in
from pipeline.checking.privacy_numbers import structured_in
from pipeline.checking.privacy_places import addresses_in
from pipeline.checking.pseudonyms import Placeholders, normal

KINDS: tuple[Kind, ...] = (
    Kind("email", "privacy", "E-mail address", "A person can be written to at it.", fixable=True),
    Kind(
        "phone",
        "privacy",
        "Phone number",
        "A number written as phones are, or one that the words around call a phone.",
        fixable=True,
    ),
    Kind("card", "privacy", "Payment card", "A card number whose check digit is right.", fixable=True),
    Kind(
        "iban",
        "privacy",
        "Bank account (IBAN)",
        "An account number whose country, length and check digits are right.",
        fixable=True,
    ),
    Kind("ip", "privacy", "IP address", "The address of a device or of a connection.", fixable=True),
    Kind("ssn", "privacy", "US social security number", "Written in its form, or named as one.", fixable=True),
    Kind("id_number", "privacy", "Official number", "A passport, licence, tax or health number of a country.", fixable=True),
    Kind(
        "link_token",
        "privacy",
        "Link that opens something",
        "A link that carries a token, a session or a password.",
        fixable=True,
    ),
    Kind(
        "name",
        "privacy",
        "Name",
        "The customer's name from the row's columns, or what a text itself calls a name.",
        fixable=True,
    ),
    Kind("address", "privacy", "Postal address", "A street with a number, a box, or a postal code.", fixable=True),
)

# The kind named first keeps the text where two overlap: a link holds its e-mail address, a card number is no phone number.
PRECEDENCE = ("link_token", "email", "iban", "card", "ssn", "id_number", "ip", "phone", "address", "name")
RANK = {kind: float(place) for place, kind in enumerate(PRECEDENCE)}

# What stands for something already: templates' {{Order Number}} and {product}, and our own placeholders.
TAKEN = re.compile(r"\{\{[^{}\n]{1,80}\}\}|\{[^{}\n]{1,60}\}|\[[A-Z]{2,7}_\d+\]")


def privacy_findings(
    messages: Messages, people: Sequence[str] = (), own: Sequence[str] = (), finder: NameFinder | None = None
) -> list[Finding]:
    """Findings of the customer's and the agent's turns, in reading order, never overlapping within a turn.

    `people` are the row's own customer names and e-mail addresses, as its columns hold them. `own` are values that are nobody's
    secret and never reported: the desk's hotline, its addresses, a domain as `@desk.com`, surrogates put in earlier. `finder`
    adds what a model finds (`name_finder`). Every replacement is a placeholder such as `[EMAIL_1]`: one number a person or
    value, counted in order of appearance, going on after those the texts already hold.

    Raises PipelineError when presidio-analyzer is missing.
    """
    texts = [(turn, veiled(message["content"])) for turn, message in enumerate(messages) if message["role"] != "system"]
    names, addresses = known_people(people)
    mine = {normal(value) for value in own}
    found: list[tuple[int, Hit]] = []
    for turn, text in texts:
        found += [(turn, hit) for hit in structured_in(text, addresses) + addresses_in(text)]
        found += [(turn, hit) for hit in (finder.find(text) if finder else ())]
    found += names_in(texts, names)
    kept = [(turn, hit) for turn, hit in resolved(found) if not _is_own(messages[turn]["content"][hit.start : hit.end], mine)]
    given = Placeholders(message["content"] for message in messages)
    return [
        Finding(
            hit.kind,
            turn,
            hit.start,
            hit.end,
            hit.score,
            hit.evidence,
            given.of(hit.kind, messages[turn]["content"][hit.start : hit.end]),
        )
        for turn, hit in kept
    ]


def veiled(text: str) -> str:
    """The text with every character of a placeholder replaced by one that no pattern takes; the length stays."""
    if "{" not in text and "[" not in text:
        return text
    return TAKEN.sub(lambda match: VEIL * len(match[0]), text)


def resolved(found: list[tuple[int, Hit]]) -> list[tuple[int, Hit]]:
    """Hits without overlaps, in reading order. The stronger kind wins; of one kind the longer, then the surer."""
    kept: dict[int, list[tuple[int, int, Hit]]] = {}
    for turn, hit in sorted(found, key=lambda one: (_rank(one[1]), one[1].start - one[1].end, -one[1].score)):
        taken = kept.setdefault(turn, [])
        place = bisect(taken, (hit.start, hit.end, hit))
        free_before = not place or taken[place - 1][1] <= hit.start
        if free_before and (place == len(taken) or hit.end <= taken[place][0]):
            taken.insert(place, (hit.start, hit.end, hit))
    return [(turn, hit) for turn in sorted(kept) for _, _, hit in kept[turn]]


def _rank(hit: Hit) -> float:
    """Digits that only a country's plan or a word make a phone number give way to a street: "03262 2437 Main St"."""
    return RANK["address"] + 0.5 if hit.kind == "phone" and hit.score < 0.7 else RANK[hit.kind]


def _is_own(value: str, mine: set[str]) -> bool:
    key = normal(value)
    return bool(mine) and (key in mine or key[key.find("@") :] in mine)
