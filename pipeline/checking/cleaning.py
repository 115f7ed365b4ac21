"""What does not belong to a turn's text: quoted mail, signatures, markup, broken characters. Found and shown, never deleted.

Every cleaner is linear in the text's length and looks for a cheap sign first, so that a clean turn costs almost nothing.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import groupby

from pipeline.checking import language as tongue
from pipeline.checking.finding import Finding, Kind, Messages

KINDS: tuple[Kind, ...] = (
    Kind("quoted_reply", "cleaning", "Quoted mail", "An earlier mail is repeated under the new text.", fixable=True),
    Kind("signature", "cleaning", "Signature", "Name, title and device at the end say nothing about the case.", fixable=True),
    Kind("greeting", "cleaning", "Greeting line", "Alone on the first line; an agent's may be house style.", fixable=True),
    Kind("disclaimer", "cleaning", "Disclaimer", "A confidentiality notice that mail programs add.", fixable=True),
    Kind("html", "cleaning", "HTML", "Tags and entities instead of text.", fixable=True),
    Kind("mojibake", "cleaning", "Broken characters", "Text once read in the wrong encoding (mended by ftfy).", fixable=True),
    Kind("literal_newline", "cleaning", "Written-out line ends", "A backslash and an n instead of a line end.", fixable=True),
    Kind("placeholder", "cleaning", "Unfilled placeholder", "A template's token, never filled in; a model would say it too."),
    Kind("whitespace", "cleaning", "Stray white space", "Runs of blank lines or spaces, invisible characters.", fixable=True),
)

MARKED_SINGLY = 20
"""Up to so many places of one kind in a turn are marked one by one; more become one span from the first to the last."""

ALL_OF_IT = 0.3
"""Highest score of a removal that would leave nothing: a forwarded mail alone *is* the message."""

Edit = tuple[int, int, str | None, float]
"""Start, end, what replaces it, score."""

SIGNATURE_WINDOW = 800
_MARKUP = re.compile(r"(?<!<)<(?P<close>/?)(?P<tag>[a-z][a-z0-9]{0,11})(?P<rest>(?:[\s/][^<>]*)?)>|(?P<comment><!--)"
                     r"|<!doctype[^<>]*>|(?P<example>&(?:amp;)*lt;[a-z/!][^<>&]*&(?:amp;)*gt;)"
                     r"|&(?:amp;)*(?P<entity>#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_TAGS = """
a abbr b big center cite code em font i img input label mark s small span strike strong sub sup u html body head meta link
tbody thead tfoot title button form address article aside blockquote br dd div dl dt fieldset footer h1 h2 h3 h4 h5 h6 header hr
li main nav ol p pre section table td th tr ul
"""
_INLINE, _BLOCK = (frozenset(half.split()) for half in (_TAGS[:_TAGS.index("address")], _TAGS[_TAGS.index("address"):]))
_DROPPED = ("script", "style")
_PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]{1,60}\}\}|\{%[^%{}\n]{1,60}%\}|\$?\{[a-z][a-z0-9_. ]{1,40}\}|<<[a-z][^<>\n]{0,40}>>"
    r"|%(?-i:[A-Z][A-Z_]{2,30})%|\[(?:(?:your|insert|enter|customer|client|agent|company|product|order|tracking)\b(?!_)[^\[\]\n]{0,40}"
    r"|(?:first |last |full )?name|date|number|link|url|address|amount|email\sprotected)\]", re.IGNORECASE)
_LITERAL = re.compile(r"(?:(?:\\r)?\\n[ \t]*)+")
_PATH = re.compile(r"[A-Za-z]:\\|\\\\")
_WHITE = re.compile("(?P<blank>\\n(?:[ \\t\\r]*\\n){2,})|(?P<gap>(?<=[^\\s])[ \\t\\xa0]{3,}(?=[^\\s]))|(?P<return>\\r(?!\\n))"
                    "|(?P<control>[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\\xad\u200b\u2060\ufeff]+)")


def cleaning_findings(messages: Messages) -> list[Finding]:
    """Everything that could be cleaned, turn by turn; spans of different kinds may overlap (see `resolve`).

    Pure, and raises nothing for any text. What one pass uncovers (a signature below stripped HTML) the next one finds. Each
    pass leaves less to find, so checking and applying ends: mails after two passes, contrived text after a few more.
    """
    return [finding for place, turn in enumerate(messages)
            for finding in _turn_findings(place, turn["content"], turn["role"] == "assistant")]


def resolve(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in order of place, without replacements that overlap: the longer span wins, as it swallows the shorter."""
    kept: list[Finding] = []
    taken: dict[int, list[tuple[int, int]]] = {}
    for finding in sorted(findings, key=lambda one: (one.start - one.end, one.turn, one.start)):
        spans = taken.setdefault(finding.turn, [])
        at = bisect_left(spans, (finding.start, finding.end))
        before, after = spans[at - 1: at], spans[at: at + 1]
        free = all(end <= finding.start for _, end in before) and all(finding.end <= start for start, _ in after)
        if finding.replacement is None or free:
            kept.append(finding)
        if finding.replacement is not None and free:
            insort(spans, (finding.start, finding.end))
    return sorted(kept, key=lambda one: (one.turn, one.start, one.end))


def apply(messages: Messages, findings: Iterable[Finding]) -> Messages:
    """The conversation with these replacements made, of any kind; turns touched lose white space at their ends.

    A turn that would be left empty stays as it was, and a span outside its turn (found in an older wording) is passed over.
    """
    made: dict[int, list[Finding]] = {}
    for finding in resolve(one for one in findings if one.replacement is not None and one.start < one.end):
        made.setdefault(finding.turn, []).append(finding)
    return [{**turn, "content": _replaced(turn["content"], made.get(place, []))} for place, turn in enumerate(messages)]


def _replaced(text: str, findings: list[Finding]) -> str:
    pieces, at = [], 0
    for finding in findings:
        if finding.start >= 0 and finding.end <= len(text):
            pieces += [text[at: finding.start], finding.replacement or ""]
            at = finding.end
    return ("".join([*pieces, text[at:]]).strip() or text) if pieces else text


def _turn_findings(place: int, text: str, by_agent: bool) -> Iterator[Finding]:
    low = text.lower()
    lines = _lines(text) if "\n" in text else []
    if any(sign in low for sign in tongue.QUOTE_SIGNS) or text.startswith(">") or "\n>" in text:
        yield from _said("quoted_reply", place, text, _quoted(lines), "An earlier mail is repeated here.")
    if lines:
        yield from _said("signature", place, text, _signature(text, by_agent), "Reads as the end of a mail, not of an answer.")
        yield from _said("greeting", place, text, _greeting(lines[0], by_agent), "Only a greeting stands on the first line.")
    if any(notice in low for notice in tongue.NOTICES):
        yield from _said("disclaimer", place, text, _disclaimer(lines or _lines(text)), "A notice that mail programs add.")
    if ("<" in text and ">" in text) or ("&" in text and ";" in text):
        yield from _said("html", place, text, _html(text), "HTML instead of text.")
    if not text.isascii():
        yield from _said("mojibake", place, text, _mojibake(text), "These characters were once read in the wrong encoding.")
    if "\\n" in text:
        yield from _said("literal_newline", place, text, _literal(text), "A line end is written out as a backslash and an n.")
    if "{" in text or "[" in text or "<<" in text or "%" in text:
        yield from _said("placeholder", place, text, [(*match.span(), None, 0.9) for match in _PLACEHOLDER.finditer(text)],
                         "A template's token that nobody filled in; it is not personal data.")
    if "\n\n\n" in text or "\r\n\r\n\r\n" in text or "   " in text or "\n \n" in text or tongue.has_controls(text):
        yield from _said("whitespace", place, text, _white(text), "Blank lines, spaces or invisible characters in a row.")


def _said(kind: str, place: int, text: str, edits: Iterable[Edit], evidence: str) -> list[Finding]:
    found = []
    for start, end, new, score in _gathered(text, list(edits)):
        leaves_nothing = new == "" and not text[end:].strip() and not text[:start].strip()
        found.append(Finding(kind, place, start, end, min(score, ALL_OF_IT) if leaves_nothing else score, evidence, new))
    return found


def _gathered(text: str, edits: list[Edit]) -> list[Edit]:
    """Many edits become one, so that no text, however odd, makes more findings than a person can look at."""
    if len(edits) <= MARKED_SINGLY:
        return edits
    if edits[0][2] is None:
        return edits[:MARKED_SINGLY]
    pieces, at = [], edits[0][0]
    for start, end, new, _ in edits:
        pieces += [text[at:start], new or ""]
        at = end
    return [(edits[0][0], at, "".join(pieces), max(edit[3] for edit in edits))]


def _lines(text: str) -> list[tuple[int, str]]:
    """(start, line) of each line, without the line ends."""
    found, at = [], 0
    for line in text.split("\n"):
        found.append((at, line))
        at += len(line) + 1
    return found


def _quoted(lines: list[tuple[int, str]]) -> Iterator[Edit]:
    """Runs of "> " lines with the line that announces them. Headers and announcements without ">" quote all that follows."""
    total = lines[-1][0] + len(lines[-1][1]) if lines else 0
    at = 0
    while at < len(lines):
        start, line = lines[at][0], lines[at][1].strip()
        announced = _announced(lines, at)
        block = at + announced
        while block < len(lines) and lines[block][1].lstrip().startswith(">"):
            block += 1
        if tongue.CUT.match(line) or _is_header(lines, at) or (announced and block == at + announced):
            yield start, total, "", 0.95
            return
        if block > at:
            yield start, lines[block][0] if block < len(lines) else total, "", 0.55 if block == at + 1 else 0.95
        at = max(block, at + 1)


def _announced(lines: list[tuple[int, str]], at: int) -> int:
    """How many lines announce a quotation here ("On ... wrote:", often broken in two), a blank one below counted."""
    for size in (1, 2):
        said = " ".join(line.strip() for _, line in lines[at: at + size])
        if len(said) <= 320 and tongue.ATTRIBUTION.fullmatch(said):
            below = at + size
            return size + (below < len(lines) and not lines[below][1].strip())
    return 0


def _is_header(lines: list[tuple[int, str]], at: int) -> bool:
    return bool(tongue.FROM.match(lines[at][1].strip())) and sum(
        bool(tongue.HEADER.match(line.strip())) for _, line in lines[at + 1: at + 5]) >= 2


def _signature(text: str, by_agent: bool) -> Iterator[Edit]:
    """The last lines from "-- ", a closing formula or a device's line on. An agent's formula alone may be house style: 0.4."""
    shift = max(0, len(text) - SIGNATURE_WINDOW)
    lines, end = _lines(text[shift:]), len(text)
    for number, (start, line) in enumerate(lines[1:], start=1):
        said = line.strip()
        if not 2 <= len(said) <= 80:
            continue
        after = [more.strip() for _, more in lines[number + 1:] if more.strip()]
        if tongue.DEVICE.match(said):
            yield shift + start, shift + start + len(line), "", 0.95
        if said == "--" and len(after) <= 10:
            yield shift + start, end, "", 0.95
            return
        formal = bool(tongue.FORMAL.match(said))
        closing = formal or (after and tongue.CASUAL.match(said))
        if closing and len(after) <= (6 if formal else 3) and max(map(len, after), default=0) <= 60:
            with_contact = len(after) >= 2 or any(map(tongue.CONTACT.search, after))
            yield shift + start, end, "", (0.75 if with_contact else 0.4) if by_agent else 0.9 if after or formal else 0.4
            return


def _greeting(first: tuple[int, str], by_agent: bool) -> Iterator[Edit]:
    line = first[1].strip()
    if len(line) <= 80 and tongue.GREETING.match(line):
        yield 0, len(first[1]) + 1, "", 0.35 if by_agent else 0.6


def _disclaimer(lines: list[tuple[int, str]]) -> Iterator[Edit]:
    """Paragraphs with a phrase of a notice; two phrases make it sure."""
    for filled, group in groupby(lines, key=lambda line: bool(line[1].strip())):
        if filled:
            paragraph = list(group)
            low = " ".join(line.strip() for _, line in paragraph).lower()
            hits = sum(notice in low for notice in tongue.NOTICES)
            if hits:
                yield paragraph[0][0], paragraph[-1][0] + len(paragraph[-1][1]), "", 0.95 if hits > 1 else 0.6


def _html(text: str) -> Iterator[Edit]:
    """Block tags end lines, other tags vanish, entities become their character; script, style and comments go with what they
    hold. A lone tag or entity scores 0.6: it may be an example in an answer about HTML. Unknown tags ("<name>") are text."""
    low = text.lower() if text.isascii() else text  # other alphabets may change length, and places must fit
    closers = dict.fromkeys((*_DROPPED, "comment"), 0)
    edits: list[tuple[int, int, str]] = []
    at = 0
    for match in _MARKUP.finditer(text):
        new = _as_text(match) if match.start() >= at else None
        if new is None:
            continue
        at = match.end()
        dropped = "comment" if match["comment"] else (match["tag"] or "").lower()
        if dropped in closers and not match["close"] and closers[dropped] >= 0:
            closers[dropped] = text.find("-->", at) if dropped == "comment" else low.find(f"</{dropped}", at)
            at = closers[dropped] + len("-->") if dropped == "comment" and closers[dropped] >= 0 else max(at, closers[dropped])
        edits.append((match.start(), at, new))
    sure = 0.95 if len(edits) > 1 else 0.6
    yield from ((*edit, sure) for edit in edits)


def _as_text(match: re.Match[str]) -> str | None:
    """What stands for one piece of markup, or None where it is ordinary text after all."""
    if match["example"]:  # an escaped tag is meant to be read; unescaped, the next pass would take it for markup
        return None
    if match["entity"]:
        known = html.unescape(f"&{match['entity']};")
        return None if known.endswith(";") and len(known) > 1 else known.replace("\xa0", " ")
    tag = (match["tag"] or "").lower()
    if not tag or tag in _DROPPED:
        return ""
    if tag not in _INLINE | _BLOCK or ("=" not in match["rest"] and match["rest"].strip(" /\r\n\t")):
        return None
    if tag == "li" and not match["close"]:
        return "\n- "
    return "\n" if tag in _BLOCK and tag not in ("td", "th") else " " if tag in ("td", "th") else ""


def _mojibake(text: str) -> Iterator[Edit]:
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    for start, line in _lines(text) if is_bad(text) else ():
        fixed = fix_encoding(line) if not line.isascii() else line
        if fixed != line:
            yield _smallest(start, line, fixed)


def _smallest(start: int, old: str, new: str) -> Edit:
    """The change without what both have in common at either end."""
    least = min(len(old), len(new))
    head = next((place for place in range(least) if old[place] != new[place]), least)
    tail = next((place for place in range(least - head) if old[-1 - place] != new[-1 - place]), least - head)
    return start + head, start + len(old) - tail, new[head: len(new) - tail], 0.9


def _literal(text: str) -> Iterator[Edit]:
    """Not in a path ("C:\\new"). A single one in a text with real line ends may be meant: 0.4."""
    matches = list(_LITERAL.finditer(text))
    sure = 0.9 if len(matches) > 1 or "\n" not in text else 0.4
    for match in matches:
        word = text[max(0, match.start() - 80): match.start() + 1].rsplit(None, 1)[-1:]
        if not (word and _PATH.search(word[0])):
            yield match.start(), match.end(), "\n" * min(2, match[0].count("\\n")), sure


def _white(text: str) -> Iterator[Edit]:
    """Columns set with spaces may be meant, so a gap inside a line scores 0.4."""
    new = {"blank": ("\n\n", 0.6), "gap": (" ", 0.4), "return": ("\n", 0.6), "control": ("", 0.9)}
    for match in _WHITE.finditer(text):
        yield *match.span(), *new[match.lastgroup or "control"]
