"""Phone numbers: what is written as one, checked by Google's metadata (phonenumbers, as Presidio does) and the words around.

Presidio's recogniser asks for a number valid in one of eight countries. Both ways that falls short on real tickets: people
write numbers of other countries and numbers with a digit wrong, and an order number of ten digits is often "valid" somewhere.
So three signs are weighed: the form, validity, and the nearest telling word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.checking.privacy_hits import Hit
from pipeline.checking.privacy_words import OTHER_NUMBERS, PHONE_WORDS, WHOSE

# North America writes 3-3-4; the form tells by itself.
NORTH_AMERICA = re.compile(r"(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\d)")
TAIL = r"(?:(?: ?x|,? ?ext\.?|,? ?extension) ?\d{1,6}(?![ -]?\d))?(?!\d|[A-Za-z@%_]|[.,]\d)"
RUN = re.compile(
    rf"(?:{NORTH_AMERICA.pattern}|(?:\+|\(|\d)[ (]{{0,2}}\d(?:(?:[ ./-]|\) ?| \()?\d){{4,40}}+){TAIL}",
    re.IGNORECASE,
)
ABROAD = re.compile(r"(?:\+|00 ?|011 ?)[1-9]")
BEGIN = re.compile(r"[+(\d]")
PAIRS = re.compile(r"\d\d([ .-])\d\d\1\d\d")
EXTENSION = re.compile(r"[ ,]*(?:x|ext\.?|extension) ?\d+$", re.IGNORECASE)
DATE = re.compile(
    r"(?:(?:19|20)\d\d([-./ ])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])|"
    r"(?:0?[1-9]|[12]\d|3[01])([-./ ])(?:0?[1-9]|[12]\d|3[01])\2(?:19|20)?\d\d)(?![-./]?\d|[-./ ]\d\d[-./ ])|"
    r"(?:19|20)\d\d ?- ?(?:19|20)\d\d$"
)
SLASHES = re.compile(r"\d/\d\d?/\d\d")
# Countries with a trunk zero, among Presidio's and the largest others: 020 7946 0958, (02) 5550 1234.
TRUNK = ("GB", "DE", "FR", "IN", "AU", "NL", "IT", "IL", "ZA", "NZ", "SE", "AT", "CH", "BE", "BR")
SAYS_PHONE_AFTER = re.compile(r"[ \t]*[-(,:]?[ \t]*(?:office|fax|mobile|home|cell|work|desk|direct|phone)\b", re.IGNORECASE)
SPOKEN = re.compile(r"[^\W\d_]+")
LOOK_BACK = 45


def phones_in(text: str) -> Iterator[Hit]:
    """Hits of one flat text. A number can begin only at a plus, a bracket or a digit: the search goes from one to the next."""
    place = 0
    while begin := BEGIN.search(text, place):
        start, run = begin.start(), RUN.match(text, begin.start())
        place = run.end() if run else begin.end()
        if run and _starts_clean(text, start) and not DATE.match(run[0]) and not SLASHES.search(run[0]):
            length, likely = max(((len(form), _likely(form)) for form in _forms(run[0])), key=lambda one: (one[1], one[0]))
            score = _weighed(run[0][:length], likely, _context(text, start, start + length))
            if score:
                yield Hit("phone", start, start + length, score, "a number written or called a phone number")
                place = start + length


def _forms(run: str) -> Iterator[str]:
    """The run, and what is left without its last groups: "+44 20 7946 0958 24/7" holds a number and opening hours."""
    yield run
    for _ in range(5):
        run = re.sub(r"[ ./(-]+\d+\)?$", "", run)
        if len(run) > 6:
            yield run


def _starts_clean(text: str, start: int) -> bool:
    """Whether what stands before lets a number begin: a space, a bracket, `Tel:`, `Ph.`; no digit, no sign."""
    if not start:
        return True
    last, two = text[start - 1], text[max(0, start - 2) : start]
    if last.isalnum() or last in "$€£¥_+" or (last == "/" and two[0].isalpha()):
        return False
    return not (last in ".:,-" and (two[0].isdigit() or (last == "-" and two[0].isalnum())))


def _context(text: str, start: int, end: int) -> int:
    """1 where the nearest telling word means a phone, -1 where it means another number, 0 where there is none. "Number" says
    what the word before it says."""
    if SAYS_PHONE_AFTER.match(text, end):
        return 1
    spoken = SPOKEN.findall(text[max(0, start - LOOK_BACK) : start].lower())
    for place in range(len(spoken) - 1, -1, -1):
        word = spoken[place]
        if word in PHONE_WORDS or (word in ("number", "numbers") and place and spoken[place - 1] in WHOSE):
            return 1
        if word in OTHER_NUMBERS:
            return -1
    return 0


def _likely(number: str) -> float:
    """How sure the form alone makes: 0.9 for a valid one, 0.7 for one only written as numbers are, 0.6 for one that some
    country would take, 0 for any digits."""
    main = EXTENSION.sub("", number)
    bare = main.lstrip("(")
    if ABROAD.match(bare):
        return _abroad(bare)
    if NORTH_AMERICA.fullmatch(main):
        return 0.9 if _is_valid(main, "US") else 0.7
    if re.match(r"0\d", bare) and not main.isdigit() and sum(letter.isdigit() for letter in main) >= 8:
        return 0.6 if any(_is_valid(main, region) for region in TRUNK) else 0.0
    return 0.0


def _weighed(number: str, likely: float, context: int) -> float:
    """The form's score; under 0.5 where the nearest word speaks against it; 0.6 where only the words make it a phone number."""
    if likely:
        return min(1.0, likely + 0.1 * context) if context >= 0 or number.startswith("+") else 0.4
    digits = sum(letter.isdigit() for letter in number)
    return 0.6 if context > 0 and (digits >= 7 or PAIRS.fullmatch(number)) else 0.0


def _abroad(number: str) -> float:
    """0.9 for a number some country gives out, 0.7 for one of a length it could have, 0 for neither."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(re.sub(r"^(?:\+|011|00)", "+", number))
    except phonenumbers.NumberParseException:
        return 0.0
    return 0.9 if phonenumbers.is_valid_number(parsed) else 0.7 if phonenumbers.is_possible_number(parsed) else 0.0


def _is_valid(number: str, region: str) -> bool:
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, region)))
    except phonenumbers.NumberParseException:
        return False
