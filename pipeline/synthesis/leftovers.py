"""What a model leaves in a text that no customer and no agent writes: placeholders, markup, endings, talk about itself."""

from __future__ import annotations

import re

_ASKED_FOR = """
account address agent amount article brand city code company contact country currency customer date day days department details
duration email e-mail first full hours id insert invoice item last link location mail model month name names number numbers
order password payment person phone place position price product quantity reason reference sender service shop signature size
store street subject surname team ticket time title topic tracking url user username value website week year your zip
"""
_WORDS = frozenset(_ASKED_FOR.split())
"""Words that stand in placeholders; other words in brackets are buttons, keys and remarks."""

_BRACKETS = re.compile(r"\[([^\[\]\n]{1,60})\](?!\()|<([A-Za-z][^<>\n]{0,60})>")
_SURE = re.compile(
    r"\{\{[^{}\n]{1,80}\}\}|\{[A-Za-z][\w -]{0,40}\}|%[A-Z][A-Z_]{2,40}%|\[[A-Z]{2,12}(?:_[A-Z]{1,12})*_\d+\]"
    r"|(?<![A-Za-z])(?:X{3,}|x{4,})(?![A-Za-z])|_{4,}|\(?\b123\)?[-. ]456[-. ]7890\b|\blorem ipsum\b|\bTODO\b|\bTBD\b"
    r"|</?(?:example|document|question|answer|conversation)\b[^<>\n]{0,40}>", re.IGNORECASE)
_SHOUTED = re.compile(r"X{3,}|x{4,}|TODO|TBD|%[A-Z][A-Z_]{2,40}%|\[[A-Z]{2,12}(?:_[A-Z]{1,12})*_\d+\]")
_JSON = re.compile(r"\s*(?:```\w*\s*)?[\[{]\s*\{?\s*\"(?:question|answer|turns|role|content)\"\s*:")
_LABEL = re.compile(r"\s*(?:\*\*)?(?:customer|user|human|agent|assistant|support agent|ai)(?:\*\*)?\s*:", re.IGNORECASE)
_MODEL = re.compile(r"\bas an? (?:ai|artificial intelligence|(?:large |ai )?language model)\b"
                    r"|\bi(?:'m| am) (?:just |only )?an? (?:(?:large |ai )?language model)\b"
                    r"|\bmy (?:training data|knowledge cut-?off)\b", re.IGNORECASE)
_OPEN_ENDS = ("...", "…", ":")
_MARKUP = re.compile(r"^#{1,6} \S|\*\*[^*\n]+\*\*|(?<!_)__[^_\n]+__(?!_)|```|\[[^\[\]\n]+\]\((?:https?:|mailto:|/|#)[^()\n]*\)"
                     r"|^[ \t]*\|.+\|[ \t]*$|</?(?:p|b|i|br|ul|ol|li|strong|em|h[1-6]|div|span)\s*/?>",
                     re.MULTILINE | re.IGNORECASE)


def in_text(text: str) -> str:
    """What stands in this text, as a sentence; empty where nothing does. The sentence quotes at most a placeholder."""
    for match in _SURE.finditer(text):
        if _is_meant(match[0]):
            return f"A placeholder was left in: {match[0][:40]}"
    for match in _BRACKETS.finditer(text):
        inner = (match[1] or match[2]).strip()
        if _WORDS & set(re.split(r"[\W_]+", inner.lower())):
            return f"A placeholder was left in: {match[0][:40]}"
    if _JSON.match(text):
        return "The text is JSON."
    if _LABEL.match(text):
        return "The text begins with the name of who speaks."
    return ""


def in_answer(text: str) -> str:
    """The same of what an agent says: a model that speaks of itself, an answer that stops before its end."""
    if _MODEL.search(text.replace("’", "'")):
        return "The answer speaks of itself as a model."
    if text.rstrip().endswith(_OPEN_ENDS):
        return "The answer stops before its end."
    return ""


def has_markup(text: str) -> bool:
    """Whether there are headings, bold words, code fences, links or tables of markdown, or tags of HTML."""
    return bool(_MARKUP.search(text))


def _is_meant(found: str) -> bool:
    """Some placeholders are ones only in capitals: "todo" is a word, "xxx" a greeting."""
    return found[0] in "{<_(1" or found.lower() == "lorem ipsum" or bool(_SHOUTED.fullmatch(found))
