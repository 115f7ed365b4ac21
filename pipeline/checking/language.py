"""Words of a text, how mails begin and end, and which language it is in. Offline, and fast enough for a million tickets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

_GLUE = """
a an and are as at be but by can do for from had has have i if in is it may me my of on or our please that the this to was we
will with would you your i'm i've it's you're we're don't can't
"""
GLUE = frozenset(_GLUE.split())
"""The commonest English function words: every third to second word of a real English sentence is one of them."""

_ENGLISH_ONLY = "and are but can from has have how it of our please that the this will with would you your i'm i've it's don't"
ENGLISH_ONLY = frozenset(_ENGLISH_ONLY.split())
"""Those of them that other languages do not write the same way."""

_STOP = """
about after again all also am any because been before being below between both could did does doing down during each few
further get getting give go got he her here hers him his how into its just let like make more most much need no nor not now
off once only other out over own same she should so some such than their them then there these they those through too under
until up us use very want were what when where which while who whom why yes yet thank thanks hi hello hey dear sir madam
regards help assist assistance know find contact team support customer service issue problem question sure ok okay
i'd i'll you'd you'll you've we'll we've that's there's what's isn't doesn't didn't won't couldn't haven't hasn't
"""
STOP = GLUE | frozenset(_STOP.split())
"""Words that say nothing about the topic of an English ticket: function words and the words of every help desk."""

_LANGUAGES = """
ar bg bn ca cs da de el en es et fa fi fr gu he hi hr hu id is it ja ka kk ko lt lv mk ml mr ms nl no pa pl pt ro ru sk sl sq
sr sv sw ta te th tl tr uk ur vi zh
"""
LANGUAGES = tuple(_LANGUAGES.split())
"""ISO 639-1 codes that are told apart; fewer than the model knows, so that a short text has fewer to be mistaken for."""

LOOKED_AT = 240
"""Code points of a text that are looked at; more hardly changes the verdict and costs time (about 80 µs for 200)."""

ATTRIBUTION = re.compile(r"(?:on|am|le|el|il)\b.{5,240}\b(?:wrote|schrieb\b.{0,80}|a écrit|escribió|ha scritto)\s?:",
                         re.IGNORECASE)
CUT = re.compile(r"(?:-{2,}\s?(?:original message|forwarded message|ursprüngliche nachricht|message d'origine|mensaje "
                 r"original)\s?-{2,}|begin forwarded message:)", re.IGNORECASE)
FROM = re.compile(r"\*?(?:from|von|de)\s?:", re.IGNORECASE)
HEADER = re.compile(r"\*?(?:sent|date|to|cc|subject|gesendet|datum|an|betreff|envoyé|à|objet|enviado|para|asunto)\s?:",
                    re.IGNORECASE)
QUOTE_SIGNS = ("wrote", "schrieb", "a écrit", "escribió", "ha scritto", "from:", "von:", "de:", "--", "forwarded message")
DEVICE = re.compile(r"(?:sent from (?:my |mail |outlook|yahoo)|sent via |get outlook for |von meinem .{1,30} gesendet"
                    r"|envoyé de mon ).{0,60}$", re.IGNORECASE)
FORMAL = re.compile(r"(?:(?:(?:with )?(?:best|kind|warm|kindest|warmest) )?regards|best wishes|sincerely(?: yours)?|yours "
                    r"(?:sincerely|faithfully|truly)|respectfully|mit freundlichen grüßen|viele grüße|cordialement|saludos"
                    r"|atentamente)(?:[,.!]|,? (?-i:[A-Z])[\w.'-]{1,20}(?: [\w.'-]{1,20})?)?$", re.IGNORECASE)
CASUAL = re.compile(r"(?:(?:many )?thanks(?: again| in advance| so much)?|thank you(?: again| in advance)?|cheers|best)[,.!]?$",
                    re.IGNORECASE)
CONTACT = re.compile(r"@|https?:|www\.|\d[\d ()./-]{6,}")
GREETING = re.compile(r"(?:hi|hello|hey|dear|greetings|good (?:morning|afternoon|evening|day)|hallo|guten tag|bonjour|hola)\b"
                      r"(?:(?: [\w.'-]{1,20}){0,3}\s?[,!.:;-]{1,2}| (?:there|all|team|sir|madam|everyone|support))?$",
                      re.IGNORECASE)
NOTICES = ("intended recipient", "intended solely", "intended only for", "received this e-mail in error", "legally privileged",
           "received this email in error", "received this message in error", "this e-mail and any", "this email and any",
           "is confidential", "are confidential", "confidentiality notice", "contain confidential", "contains confidential",
           "privileged and confidential", "before printing this")
"""How mails announce a quotation, close, greet and disclaim, in English and a little in German, French, Spanish and Italian."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_CJK = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NO_LETTERS = {code: " " for code in range(128) if not (chr(code).isalpha() or chr(code) == "'")}
STEM = 5


def words(text: str) -> list[str]:
    """Words in lower case, in order, without digits; a typewriter's apostrophe stands for any."""
    low = text.lower()
    if not low.isascii():
        return _WORD.findall(low.replace("’", "'"))
    # Five times as fast as the expression, and most text is ASCII.
    return low.translate(_NO_LETTERS).replace(" '", " ").replace("' ", " ").split()


def has_controls(text: str) -> bool:
    """False where the text surely holds no control or invisible character; quick."""
    return not text.replace("\n", "").replace("\r", "").isprintable()


def word_count(text: str) -> int:
    """Words separated by white space; in scripts that write none (Chinese, Japanese, Thai, Korean) every two characters."""
    spaced = len(text.split())
    return spaced if text.isascii() else max(spaced, len(_CJK.findall(text)) // 2)


def stems(found: list[str]) -> set[str]:
    """The content words, cut to five letters: the cheapest stemmer, near a real one in search (McNamee and Mayfield 2004)."""
    return {word[:STEM] for word in set(found) - STOP if len(word) > 2}


def glue_share(found: list[str]) -> float:
    """Share of English function words, 0 to 1; real English sentences have 0.3 to 0.5, strings of random words under 0.1."""
    return sum(map(GLUE.__contains__, found)) / len(found) if found else 0.0


def is_plain_english(found: list[str]) -> bool:
    """True where words stand that hardly any other language has: spares most texts the detector."""
    head = found[:40]
    return sum(map(ENGLISH_ONLY.__contains__, head)) >= max(2, len(head) / 10)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    made.set_languages(LANGUAGES)
    return made


def detect(text: str) -> tuple[str, float]:
    """(ISO 639-1 code, confidence 0 to 1) of the first 240 code points, by py3langid (naive Bayes over byte n-grams; Lui and
    Baldwin 2012). The confidence is the model's own times min(1, letters / 60): few letters prove little."""
    head = text[:LOOKED_AT]
    letters = sum(map(str.isalpha, head))
    if letters < 3:
        return "und", 0.0
    code, confidence = _identifier().classify(head)
    weight = 3 if _CJK.search(head) else 1
    return code, float(confidence) * min(1.0, letters * weight / 60)


def main_language(texts: Iterable[str]) -> str | None:
    """The language of most of these texts (a sample of a few hundred is enough), each counted by its confidence; None where
    none of them says anything."""
    votes: Counter[str] = Counter()
    for text in texts:
        code, confidence = ("en", 1.0) if is_plain_english(words(text[:LOOKED_AT])) else detect(text)
        votes[code] += confidence  # type: ignore[assignment]
    del votes["und"]
    return max(votes, key=lambda code: (votes[code], code)) if votes else None
