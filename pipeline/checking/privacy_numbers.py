"""Structured personal data: e-mail, card, IBAN, IP, links that carry a secret; and the one call for every structured kind.

Patterns and check digits are Presidio's. Each is called on the piece of text that a cheap pattern found, which keeps its time
short and bounded; where its recognisers fall short, the comment beside the addition says how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.checking.privacy_engines import engines
from pipeline.checking.privacy_hits import VEIL, Hit, flat, words
from pipeline.checking.privacy_official import official_in, social_security_in
from pipeline.checking.privacy_phones import SPOKEN, phones_in

ANY_DIGITS = re.compile(r"\d(?:[^\d\n]{0,3}\d){5}")
IP_LIKE = re.compile(r"\d\.\d{1,3}\.\d|:[0-9A-Fa-f]{0,4}:")


def structured_in(text: str, known_addresses: frozenset[str] = frozenset()) -> list[Hit]:
    """Every structured hit of one text; hits may overlap. `known_addresses` are the row's own e-mail addresses, lower case."""
    digits, at = bool(ANY_DIGITS.search(text)), "@" in text
    smooth = flat(text) if digits or at else text
    hits: list[Hit] = []
    if "://" in text or "www." in text:
        hits += _links(smooth)
    if at:
        hits += _emails(smooth)
    if known_addresses and at:
        hits += _known(smooth, known_addresses)
    if IP_LIKE.search(text):
        hits += _ips(smooth)
    if digits:
        spoken = frozenset(SPOKEN.findall(smooth.lower()))
        hits += [*_cards(smooth), *_ibans(smooth), *social_security_in(smooth, spoken)]
        # Two numbers side by side must not be read as one: what its form tells is taken out before phones are looked for.
        rest = _without(smooth, hits) if hits else smooth
        hits += [*official_in(rest, spoken), *phones_in(rest)]
    return hits


def _without(text: str, hits: list[Hit]) -> str:
    letters = list(text)
    for hit in hits:
        letters[hit.start : hit.end] = VEIL * (hit.end - hit.start)
    return "".join(letters)


# E-mail ---------------------------------------------------------------------------------------------------------------

# Local parts have at most 64 characters and domains 255 (RFC 5321): the window keeps Presidio's pattern from growing quadratic.
BEFORE_AT, AFTER_AT = 65, 256
# Mojibake turns one letter into a letter and a symbol (Ã©), and Presidio's pattern ends at symbols. As letters they stay in.
MOJIBAKE = {
    code: "x" for code in range(0x80, 0xC0) if chr(code) not in "\u00a0\u00a1\u00ab\u00bb\u00bf" and not chr(code).isalnum()
}


def _emails(text: str) -> Iterator[Hit]:
    letters = text if text.isascii() else text.translate(MOJIBAKE)
    for at in (match.start() for match in re.finditer("@", letters)):
        low = max(0, at - BEFORE_AT)
        for result in engines().email.analyze(letters[low : at + AFTER_AT], []):
            start, end = _local_part(letters, low + result.start, at), low + result.end
            host = letters[at + 1 : end]
            # `package@4.17.21` has the form of an address, a domain ends in letters.
            if start < at < end and not host.rsplit(".", 1)[-1].isdigit():
                score = 1.0 if engines().domain(host.lower()) else 0.7
                yield Hit("email", start, end, score, "an e-mail address")


def _local_part(text: str, start: int, at: int) -> int:
    """Where the address begins: Presidio takes `/`, `?`, `&` and `=` into it, and in a link eats the path before it."""
    cut = max(text.rfind(mark, start, at) for mark in "/?&|")
    if cut < 0:
        return start
    return max(cut, text.rfind("=", start, at)) + 1


def _known(text: str, addresses: frozenset[str]) -> Iterator[Hit]:
    """The row's own addresses, also those whose form Presidio would not take."""
    lowered = text.lower()
    for address in (address for address in addresses if address in lowered):
        for match in re.finditer(rf"(?<![\w.]){re.escape(address)}(?!\w)", text, re.IGNORECASE):
            yield Hit("email", *match.span(), 1.0, "the e-mail address of the row's own customer")


# Cards and IBAN -------------------------------------------------------------------------------------------------------

CARD_RUN = re.compile(r"\d(?<!\d\d)(?:[ -]?\d){11,}+")
GROUP = re.compile(r"\d+")
# As printed on cards: in one piece, 4-4-4-4 with up to three more, 4-6-5 and 4-6-4.
PRINTED = re.compile(r"\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{4,5}")
# Issuers by first digits and length (ISO/IEC 7812); one number in ten passes the check digit, so other prefixes need the word.
ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|"
    r"6(?:011|5\d\d|4[4-9]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
CARD_WORDS = words(
    "cards?",
    "visa",
    "master ?card",
    "amex",
    "american express",
    "discover",
    "diners",
    "maestro",
    "jcb",
    "cc",
    "debit",
    "credit",
)


def _cards(text: str) -> Iterator[Hit]:
    """Presidio's check digit on whole runs of digits and on what is printed like a card inside them. Its own pattern misses
    Maestro of 12 digits, Visa of 19, Mastercard's 2-series, American Express in 4-6-5, and a card beside another number."""
    for run in CARD_RUN.finditer(text):
        groups = [match.span() for match in GROUP.finditer(text, *run.span())]
        place = run.start()
        for number, (start, _) in enumerate(groups):
            ends = [end for _, end in groups[number : number + 5] if start >= place and PRINTED.fullmatch(text, start, end)]
            if start == run.start() and len(run[0]) <= 38:
                ends.append(run.end())
            if end := next((end for end in reversed(ends) if _is_card(text, start, end)), 0):
                yield Hit("card", start, end, 1.0, "a card number with a valid check digit")
                place = end


def _is_card(text: str, start: int, end: int) -> bool:
    digits = re.sub(r"\D", "", text[start:end])
    if not 12 <= len(digits) <= 19 or len(set(digits)) == 1 or not engines().card.validate_result(digits):
        return False
    return bool(ISSUED.fullmatch(digits) or CARD_WORDS.search(text, max(0, start - 40), start))


IBAN_START = re.compile(r"\d(?<=[A-Za-z]{2}\d)(?<![A-Za-z0-9][A-Za-z]{2}\d)\d(?=[ -]?[A-Za-z0-9]{4})")
IBAN_REST = re.compile(r"(?:[ -]?[A-Za-z0-9]){11,30}")


def _ibans(text: str) -> Iterator[Hit]:
    """Presidio's own search is case sensitive and takes the words after the number into it; its check (country, length, check
    digits) is asked for every end that a group of characters could have, the longest first."""
    for match in IBAN_START.finditer(text):
        start, rest = match.start() - 2, IBAN_REST.match(text, match.end())
        if not rest:
            continue
        ends = [
            end
            for end in range(rest.end(), match.end() + 10, -1)
            if not text[end : end + 1].isalnum() and text[end - 1].isalnum()
        ]
        for end in ends:
            if engines().iban.validate_result(text[start:end].upper()):
                yield Hit("iban", start, end, 1.0, "an account number with valid check digits")
                break


# IP -------------------------------------------------------------------------------------------------------------------

IP_FORM = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3})(?![\w:]|\.\d)"
)
IP_WORDS = words("ip", "ipv4", "ipv6", "address", "server", "host", "ping", "from", "router", "gateway", "subnet", "dns")
VERSION_WORDS = re.compile(
    r"\b(?:v|ver|version|versions|firmware|build|release|section|update|upgrade[d]?|to|patch)[.: ]*\(?$", re.IGNORECASE
)
# Loopback, "this network" and masks (RFC 6890) are addresses of nobody.
NOBODY = re.compile(r"(?:127|0|255)\..*|::1?")


def _ips(text: str) -> Iterator[Hit]:
    for form in IP_FORM.finditer(text):
        if NOBODY.fullmatch(form[0]) or not _is_address(text, form):
            continue
        if any(found.score > 0.5 for found in engines().ip.analyze(form[0], [])):
            yield Hit("ip", *form.span(), 0.95, "an IP address")


def _is_address(text: str, form: re.Match[str]) -> bool:
    """1.2.3.4 after "version" is none; four small numbers are rather a version or a section unless a word says otherwise."""
    before = text[max(0, form.start() - 30) : form.start()]
    if ":" in form[0]:
        return sum(bool(group) for group in form[0].split(":")) >= 3 or any(letter.isdigit() for letter in form[0])
    if VERSION_WORDS.search(before):
        return bool(words("ip", "ipv4").search(before))
    return max(map(int, re.findall(r"\d+", form[0])[:4])) >= 32 or bool(IP_WORDS.search(before))


# Links ----------------------------------------------------------------------------------------------------------------

# Presidio finds URLs but does not tell a page anybody may read from one that opens an account.
LINK = re.compile(r"(?:(?:https?|ftp)://|(?<![\w.])www\.)[^\s<>\"'`\ufffc]{4,2000}", re.IGNORECASE)
LOGIN = re.compile(r"//[^/@:\s]+:[^/@\s]+@")
SECRET_FIELD = re.compile(
    r"[?&#;/](?:[a-z]+[_-]?)?(?:token|auth|sig|signature|secret|session|sessionid|sid|jsessionid|password|passwd|pwd|api_?key|key|"
    r"jwt|otp|code|invite|ticket|hash|nonce|credential|state)=[^&#\s]{6,}",
    re.IGNORECASE,
)
SECRET_STEP = re.compile(
    r"/(?:reset|verify|confirm|activate|invite|magic|unsubscribe|login|auth|share|download)[\w-]*/[\w.~-]{12,}", re.IGNORECASE
)
RANDOM_STEP = re.compile(
    r"[/=](?=[\w-]*\d)(?=[\w-]*[A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Za-z0-9_]{24,}|eyJ[\w-]{10,})",
    re.IGNORECASE,
)


def _links(text: str) -> Iterator[Hit]:
    for link in LINK.finditer(text):
        url = link[0].rstrip(".,;:!?)]}'\"")
        if any(secret.search(url) for secret in (LOGIN, SECRET_FIELD, SECRET_STEP)):
            yield Hit("link_token", link.start(), link.start() + len(url), 0.9, "a link that carries a token or a password")
        elif RANDOM_STEP.search(url):
            yield Hit("link_token", link.start(), link.start() + len(url), 0.6, "a link with a part nobody could guess")
