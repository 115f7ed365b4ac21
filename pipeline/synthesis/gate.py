"""The gate: what speaks against a made example, before it is kept. Pure but for its memory of what was accepted.

Everything is looked at as it arrives, in the child: form, length, language, left-overs, personal data, twins, refusals. A
judge's score comes from elsewhere (`low_score`). Of work on seeds only what is new is looked at: the rest is a person's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.checking import language as tongue
from pipeline.checking import quality
from pipeline.checking.finding import Finding
from pipeline.checking.privacy import KINDS, privacy_findings
from pipeline.checking.privacy_engines import engines
from pipeline.dedupe.texts import I64, normalised
from pipeline.examples import Example, Turn
from pipeline.scoring.refusals import is_refusal
from pipeline.specs import Cell, Checks, Work
from pipeline.synthesis import leftovers, names, twins
from pipeline.synthesis.fiction import is_fictional

WORDS: dict[str, str] = {kind: reason.sentence for kind, reason in names.REASONS.items()}
"""Every kind of reason with its sentence."""

SURE = 0.6
"""How sure the detector must be of another language; it is never so sure of less than 36 letters (`language.detect`). None of
14,517 English questions of Bitext and Banking77 is taken for another language at this; without it 63 are."""

FORM = {"missing_turn", "empty_turn", "role_order", "non_text"}
PERSONAL_FROM = 0.5
_ALIKE = ({"da", "no", "sv"}, {"hr", "sl", "sr"}, {"id", "ms"}, {"cs", "sk"}, {"bg", "mk"}, {"hi", "mr"}, {"ca", "es"})
"""Languages that are mistaken for each other in a few sentences."""

_MOST_WORDS_OF_A_NAME = 4
_TITLES = {kind.key: kind.title for kind in KINDS}
Said = list[tuple[str, str]]
"""What was said, (role, text) in order."""


@dataclass(frozen=True)
class Reason:
    """Why an example is set aside: a kind of `names.REASONS`, and a sentence that quotes nothing but a placeholder."""

    kind: str
    words: str


class Gate:
    """`check` says what speaks against an example; `take` remembers one that was accepted. Not for several threads at once.

    `existing` are the questions of the workspace; `seeds` all lines of seeds.jsonl; `public` texts whose addresses and numbers
    are the desk's own (documents, the system turn). Raises PipelineError where a check's package is missing.
    """

    def __init__(self, checks: Checks, existing: Iterable[str] = (), work: Work = "examples", seeds: Sequence[Example] = (),
                 public: Sequence[str] = ()) -> None:
        self.checks, self.work = checks, work
        answers = [turn.get("content") or "" for seed in seeds for turn in seed.messages if turn["role"] != "system"]
        self.markup = not answers or any(map(leftovers.has_markup, answers))
        self.made = twins.Growing()
        looks_for_records = checks.twin_at > 0 and work != "answers"
        self.existing = twins.Fixed([*existing, *(_asked(seed.messages) for seed in seeds)] if looks_for_records else ())
        self.own: tuple[str, ...] = ()
        self.people: frozenset[str] = frozenset()
        if checks.personal:
            engines()
            self.own = tuple(value for kind, value in _personal([("user", text) for text in public]) if kind != "name")
            self.people = _full_names(seeds)
        if checks.languages:
            tongue.detect("A sentence that has the language model loaded.")

    def check(self, messages: Sequence[Turn], cell: Cell) -> list[Reason]:
        """Every reason, in the order of `names.REASONS`; a broken form is the only one where the rest cannot be told."""
        broken = _not_plain(messages)
        if broken:
            return [Reason("form", broken)]
        new = self._new(messages)
        found = [*self._form(messages, new), *self._lengths(new)]
        if self.checks.languages:
            found += self._languages(new, cell.language)
        if self.checks.placeholders:
            found += self._leftovers(new)
        if self.checks.personal:
            found += self._personal(new)
        if self.checks.twin_at > 0:
            found += self._twins(messages)
        if self.work not in ("hard", "paraphrases") and any(role == "assistant" and is_refusal(text) for role, text in new):
            found.append(Reason("refusal", WORDS["refusal"]))
        return found

    def take(self, messages: Sequence[Turn]) -> None:
        """Remember an accepted example; also one from before the run was resumed."""
        if self.checks.twin_at > 0 and not _not_plain(messages):
            self.made.add(self._told_apart_by(messages))

    def _new(self, messages: Sequence[Turn]) -> Said:
        """What the model wrote."""
        said = [(turn["role"], turn["content"]) for turn in messages if turn["role"] != "system"]
        if self.work not in names.ON_SEEDS:
            return said
        wanted = "user" if self.work == "paraphrases" else "assistant"
        return [one for one in said if one[0] == wanted][-1:]

    def _form(self, messages: Sequence[Turn], new: Said) -> list[Reason]:
        if self.work in names.ON_SEEDS:
            messages = [{"role": role, "content": text} for role, text in new]
        kinds = {"empty_turn", "non_text"} if self.work in names.ON_SEEDS else FORM
        found = [finding for finding in quality.quality_findings(list(messages), None, None) if finding.kind in kinds]
        said = [text.strip() for role, text in new if role == "assistant"]
        if not new:
            return [Reason("form", "Nothing new is in it.")]
        if found:
            return [Reason("form", found[0].evidence)]
        if self.work == "conversations" and len(said) < 2:
            return [Reason("form", "Each side speaks once; a conversation of several turns was asked for.")]
        if any(role == "user" and text.strip() in said for role, text in new):
            return [Reason("form", "The agent says the same as the customer.")]
        return []

    def _lengths(self, new: Said) -> list[Reason]:
        sizes = [len(text.strip()) for _, text in new]
        short = [size for size in sizes if 0 < size < self.checks.shortest]
        long = [size for size in sizes if size > self.checks.longest]
        return [*(Reason("short", f"A turn has {size:,} characters; at least {self.checks.shortest:,} were asked for.")
                  for size in short[:1]),
                *(Reason("long", f"A turn has {size:,} characters; at most {self.checks.longest:,} were asked for.")
                  for size in long[:1])]

    def _languages(self, new: Said, wanted: str) -> list[Reason]:
        """Each side against the cell's language; the customer's of a hard case may be in any."""
        sides = [role for role in ("user", "assistant") if role == "assistant" or self.work != "hard"]
        for role in sides:
            text = "\n".join(said for speaker, said in new if speaker == role)
            other = another_language(text, wanted) if text else ""
            if other:
                side = quality.SIDES[role]
                return [Reason("language", f"The {side}'s side reads as {names.language(other)}; {names.language(wanted)} was "
                                           "asked for.")]
        return []

    def _leftovers(self, new: Said) -> list[Reason]:
        for role, text in new:
            if self.work == "hard" and role == "user":
                continue
            words = leftovers.in_text(text) or (leftovers.in_answer(text) if role == "assistant" else "")
            if not words and not self.markup and leftovers.has_markup(text):
                words = "It has markup; your examples have none."
            if words:
                return [Reason("placeholder", words)]
        return []

    def _personal(self, new: Said) -> list[Reason]:
        titles = [_TITLES[kind] for kind, value in _personal(new, self.own)
                  if kind != "name" and not is_fictional(kind, value)]
        if titles:
            return [Reason("personal", f"It holds what may be personal data: {', '.join(dict.fromkeys(titles))}.")]
        if self.people and any(name in self.people for _, text in new for name in _runs_of_words(text)):
            return [Reason("personal", "It holds a full name that one of your examples holds.")]
        return []

    def _twins(self, messages: Sequence[Turn]) -> list[Reason]:
        at, mine = self.checks.twin_at, self._told_apart_by(messages)
        found = []
        if self.work != "answers" and (near := self.existing.nearest(mine, at)):
            found.append(Reason("twin_record", f"Its question is {near:.0%} the same as one of the workspace."))
        if near := self.made.nearest(mine, at):
            what = "answer to this question" if self.work == "answers" else "question"
            found.append(Reason("twin_made", f"Its {what} is {near:.0%} the same as one made before."))
        return found

    def _told_apart_by(self, messages: Sequence[Turn]) -> I64:
        """The shingles of the customer's side; where that is a seed's own, of the answer, and only among this question's."""
        if self.work == "answers":
            return twins.shingles_of(str(messages[-1]["content"]), of=_asked(messages))
        return twins.shingles_of(_asked(messages))


def low_score(score: float | None, checks: Checks) -> list[Reason]:
    """The judge's reason: a score below the least, or a reply that held none."""
    if score is None:
        return [Reason("judge", "The judge's reply held no score.")]
    if score >= checks.least_score:
        return []
    return [Reason("judge", f"The judge gave {score:g} of 5; at least {checks.least_score} was asked for.")]


def another_language(text: str, wanted: str) -> str:
    """The code of the language that a text is in, where that is surely not the wanted one; empty where it is, or cannot be
    told. Looks at the beginning, and at the end of a long text."""
    code = names.base(wanted)
    if code not in tongue.LANGUAGES:
        return ""
    parts = [text] if len(text) <= 2 * tongue.LOOKED_AT else [text, text[-tongue.LOOKED_AT :]]
    for part in parts:
        head = part[: tongue.LOOKED_AT]
        if code == "en" and tongue.is_plain_english(tongue.words(head)):
            continue
        found, confidence = tongue.detect(head)
        if found not in (code, "und") and confidence >= SURE and not any({found, code} <= some for some in _ALIKE):
            return found
    return ""


def _not_plain(messages: Sequence[Turn]) -> str:
    """What keeps these turns from being looked at, as a sentence."""
    turns = list(messages)
    if not turns or any(not isinstance(turn, dict) or not isinstance(turn.get("role"), str) for turn in turns):
        return "It is no list of turns."
    if any(not isinstance(turn.get("content"), str) for turn in turns):
        return "A turn holds no text."
    if any("\ud800" <= letter <= "\udfff" for turn in turns for letter in turn["content"] if not turn["content"].isascii()):
        return "The text holds half a character."
    return ""


def _asked(messages: Sequence[Turn]) -> str:
    """All that the customer says."""
    return "\n".join(str(turn.get("content") or "") for turn in messages if turn["role"] == "user")


def _personal(said: Said, own: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(kind, value) of everything that may be somebody's."""
    turns = [{"role": role, "content": text} for role, text in said]
    found: list[Finding] = privacy_findings(turns, own=own)
    return [(one.kind, turns[one.turn]["content"][one.start : one.end]) for one in found if one.score >= PERSONAL_FROM]


def _full_names(seeds: Sequence[Example]) -> frozenset[str]:
    """Names that seeds hold. Those of one word are found nowhere (`_runs_of_words`): a first name is anybody's."""
    said = [(turn["role"], turn.get("content") or "") for seed in seeds for turn in seed.messages]
    return frozenset(normalised(value) for one in said for kind, value in _personal([one]) if kind == "name")


def _runs_of_words(text: str) -> Iterable[str]:
    spoken = normalised(text).split()
    for size in range(2, _MOST_WORDS_OF_A_NAME + 1):
        yield from (" ".join(spoken[place : place + size]) for place in range(len(spoken) - size + 1))
