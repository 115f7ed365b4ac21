"""US social security numbers and other official numbers, with Presidio's patterns and check digits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pipeline.checking.privacy_engines import engines
from pipeline.checking.privacy_hits import Hit, words

SSN_FORM = re.compile(r"\d(?<![\w-]\d)\d\d-\d{2}-\d{4}(?![\w-])")
SSN_WORDS = words("ssns?", "social security(?: number| no)?", "ss#", "social")
AFTER_CUE = 48

# Presidio's passport and licence patterns are those of single states and hold any nine digits; the words decide anyway.
DOCUMENT = words("passports?", r"driv(?:er|ing)(?:'?s|s')? (?:licen[cs]e|permit)")
SERIAL = re.compile(r"(?<![\w-])(?=(?:[A-Za-z-]*\d){5})[A-Za-z0-9][A-Za-z0-9-]{5,17}(?![\w-])")
_CUES = """
medicare mbi beneficiary medicaid nhs national tax tfn insurance sin aadhaar aadhar uidai permanent pan nric fin pesel dni nif
nie hetu henkilötunnus personal personnummer rrn resident thai kimlik tckn turkish african rsa id identity nin nimc steuer
steuerid steueridentifikationsnummer idnr itin taxpayer passport passports driver drivers driving
"""
# One word of every cue: texts without any are not searched.
CUE_WORDS = frozenset(_CUES.split())
MIXED = re.compile(r"\d(?:(?<=[A-Za-z]\d)|(?=[A-Za-z])|(?<=[A-Za-z]{2} \d))")
LETTERED = re.compile(r"(?<!\w)(?:[A-Za-z]{2}(?: ?\d{2}){3} ?[A-Da-d]|(?=[A-Za-z\d]*\d[A-Za-z\d]*\d)[A-Za-z\d]{12,18})(?!\w)")


def social_security_in(text: str, spoken: frozenset[str]) -> Iterator[Hit]:
    """Hits of one flat text; `spoken` are its words in lower case."""
    for form in SSN_FORM.finditer(text):
        if engines().ssn.analyze(form[0], []):
            yield Hit("ssn", *form.span(), 0.95, "a number in the form of a US social security number")
    for start, end in _after(text, SSN_WORDS) if spoken & {"ssn", "ssns", "social", "ss"} else ():
        for found in _first(engines().ssn, text[start:end]):
            yield Hit("ssn", start + found.start, start + found.end, 0.9, "a number called a social security number")


def official_in(text: str, spoken: frozenset[str]) -> Iterator[Hit]:
    """Hits of one flat text; `spoken` are its words in lower case."""
    cued = not CUE_WORDS.isdisjoint(spoken)
    for start, end in _after(text, DOCUMENT) if cued else ():
        if serial := SERIAL.search(text, start, end):
            yield Hit("id_number", *serial.span(), 0.85, "a number after the words for a passport or a licence")
    lettered = [match.span() for match in LETTERED.finditer(text)] if MIXED.search(text) else []
    for recogniser, cue in engines().official if cued or lettered else ():
        why = "an official number with its own form" if cue is None else "a number after the words for an official one"
        for start, end in lettered if cue is None else (_after(text, cue) if cued else ()):
            for found in _first(recogniser, text[start:end]):
                yield Hit("id_number", start + found.start, start + found.end, 0.85, why)


def _first(recogniser: Any, piece: str) -> list[Any]:
    """The result that begins first, or none."""
    return sorted(recogniser.analyze(piece, []), key=lambda found: (found.start, -found.end))[:1]


def _after(text: str, cue: re.Pattern[str]) -> list[tuple[int, int]]:
    """The stretch behind each cue, ended at a space so that no number is cut in two."""
    stretches = []
    for match in cue.finditer(text):
        end = match.end() + AFTER_CUE
        if end < len(text) and (space := text.rfind(" ", match.end(), end)) > 0:
            end = space
        stretches.append((match.end(), min(end, len(text))))
    return stretches
