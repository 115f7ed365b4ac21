"""Is this snapshot ready to be trained on? Plain words from measured facts; pure.

The sizes are those of the project's guide: 500–1,000 examples for simple tasks (labels, values), 1,000–5,000 for answers to
questions, 5,000 and more for conversations and long texts; with fewer, examples in a prompt do better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Word = Literal["yes", "partly", "no", "not measured"]
Task = Literal["simple", "medium", "complex"]

WANTED: dict[Task, tuple[int, int | None]] = {"simple": (500, 1_000), "medium": (1_000, 5_000), "complex": (5_000, None)}
TASKS: dict[Task, str] = {"simple": "labels or short values", "medium": "one answer to one question",
                          "complex": "conversations or long answers"}
MOSTLY, OFTEN = 0.8, 0.3
"""From these shares of lines on, answers are labels; the task is conversations or long texts."""

CANNED = 0.1
"""Fewer different answers than this share of the lines are texts to choose from, not answers that were written."""

VARIED, SAME = 0.45, 0.25
"""Share of different three-word sequences in 500 questions. Measured: 0.81 in questions that people wrote (banking77), 0.58 in
paraphrases of 27 intents (bitext), 0.38 in questions filled into templates (Kaggle's customer support tickets)."""

MUCH_CHANGES, SOME_CHANGES = 0.2, 0.05
MANY_CONFLICTS, SOME_CONFLICTS = 0.05, 0.01
MANY_TWINS = 0.3

ENOUGH, DIVERSE = "Enough examples for this kind of task?", "Diverse enough?"
CONSISTENT, LASTING = "Consistent enough?", "Does what is learned stay true?"
PROMPT = "Should a good prompt be tried first?"
_AGAINST: dict[str, dict[Word, str]] = {
    ENOUGH: {"no": "too few examples", "partly": "few examples", "not measured": "the kind of task"},
    DIVERSE: {"no": "too little variety", "partly": "many lines worded alike", "not measured": "variety"},
    CONSISTENT: {"no": "answers that contradict each other or do not fit their questions",
                 "partly": "some contradictory answers", "not measured": "whether answers fit and agree"},
    LASTING: {"no": "too much that changes daily", "partly": "some answers that change daily",
              "not measured": "what changes daily"}}


@dataclass(frozen=True)
class Facts:
    """What was measured of a snapshot: counts of lines, unless it says otherwise.

    `measured` lines were looked into, those that were quarantined afterwards among them; 0 where nobody looked. `variety` is
    the share of different three-word sequences in the questions of `looked_at` lines. `changes_daily` counts answers with
    prices, dates or stock words, and all of these under "changes_daily". `worth` is what the newest check says of the answers;
    `worth_training` None where it could not tell.
    """

    train: int
    lines: int
    measured: int
    short_answers: int
    long_answers: int
    multi_turn: int
    distinct_answers: int
    answer_words: int
    looked_at: int
    variety: float
    changes_daily: dict[str, int]
    twins_searched: bool
    twins_left: int
    checked: bool
    conflicts: int
    worth: str
    worth_training: bool | None


@dataclass(frozen=True)
class Verdict:
    """One question, its answer in a word, and the numbers behind it in a sentence."""

    question: str
    word: Word
    sentence: str


@dataclass(frozen=True)
class Readiness:
    """All verdicts, and what they come to; whether a prompt should be tried first does not weigh in `word`."""

    task: Task | None
    sentence: str
    word: Word
    verdicts: tuple[Verdict, ...]


def judge(facts: Facts) -> Readiness:
    """Every verdict follows from the facts alone."""
    task = task_of(facts) if facts.measured else None
    verdicts = (enough(facts, task), diverse(facts, task), consistent(facts), lasting(facts))
    words = {verdict.word for verdict in verdicts}
    order: tuple[Word, ...] = ("no", "not measured", "partly", "yes")
    word = next(one for one in order if one in words)
    return Readiness(task, _whole(word, verdicts), word, (*verdicts, prompt_first(facts, task, verdicts)))


def task_of(facts: Facts) -> Task:
    """Labels where four fifths of the answers have five words at most; conversations or long texts from three tenths on."""
    if facts.short_answers >= MOSTLY * facts.measured:
        return "simple"
    return "complex" if facts.multi_turn + facts.long_answers >= OFTEN * facts.measured else "medium"


def enough(facts: Facts, task: Task | None) -> Verdict:
    if task is None:
        return Verdict(ENOUGH, "not measured", f"{facts.train:,} lines to train on; what kind of task it is was not measured.")
    low, high = WANTED[task]
    wanted = f"{low:,} to {high:,}" if high else f"{low:,} and more"
    evidence = facts.short_answers if task == "simple" else facts.multi_turn + facts.long_answers
    what = (f"most are {TASKS[task]}, {facts.answer_words} words long in the middle" if task == "medium"
            else f"{_share(facts, evidence)} of the answers are {TASKS[task]}")
    word: Word = "yes" if facts.train >= low else "partly" if facts.train >= low / 2 else "no"
    return Verdict(ENOUGH, word, f"{facts.train:,} lines to train on; {what}: that wants {wanted}.")


def diverse(facts: Facts, task: Task | None) -> Verdict:
    if task is None:
        return Verdict(DIVERSE, "not measured", "How varied the lines are was not measured.")
    twins = f"{facts.twins_left:,} lines have a twin." if facts.twins_searched else "Twins were not searched for."
    said = (f"{facts.distinct_answers:,} different answers in {facts.measured:,} lines; {_percent(facts.variety)} of the "
            f"three-word sequences in {min(500, facts.looked_at):,} questions are different. {twins}")
    if _canned(facts, task):
        return Verdict(DIVERSE, "no", f"{said} These are texts to choose from, and choosing is simpler than writing.")
    if facts.variety < SAME:
        return Verdict(DIVERSE, "no", f"{said} The same is asked again and again.")
    if facts.variety < VARIED or facts.twins_left > MANY_TWINS * facts.lines:
        return Verdict(DIVERSE, "partly", f"{said} Many questions are worded alike: fewer and more varied ones teach as much.")
    return Verdict(DIVERSE, "yes", said)


def consistent(facts: Facts) -> Verdict:
    if not facts.checked:
        return Verdict(CONSISTENT, "not measured", "The records were not checked: the Clean page does that.")
    said = f"{facts.conflicts:,} of {facts.lines:,} lines answer nearly the same question quite differently."
    said = f"{said} {facts.worth}".strip()
    if facts.worth_training is False or facts.conflicts > MANY_CONFLICTS * facts.lines:
        return Verdict(CONSISTENT, "no", said)
    return Verdict(CONSISTENT, "partly" if facts.conflicts > SOME_CONFLICTS * facts.lines else "yes", said)


def lasting(facts: Facts) -> Verdict:
    if not facts.measured:
        return Verdict(LASTING, "not measured", "Whether answers hold prices, dates or stock was not measured.")
    named = ", ".join(f"{facts.changes_daily.get(name, 0):,} {name}" for name in ("prices", "dates", "stock"))
    count = facts.changes_daily.get("changes_daily", 0)
    said = f"{_share(facts, count)} of the answers name something that changes daily ({named})."
    if count >= MUCH_CHANGES * facts.measured:
        return Verdict(LASTING, "no", f"{said} A model would learn yesterday's: look these up (retrieval), train on the rest.")
    if count >= SOME_CHANGES * facts.measured:
        return Verdict(LASTING, "partly", f"{said} Put placeholders there, or look them up.")
    return Verdict(LASTING, "yes", said)


def prompt_first(facts: Facts, task: Task | None, verdicts: tuple[Verdict, ...]) -> Verdict:
    """Whether a good prompt should be tried before any training; "yes" means that training should wait."""
    if task is None:
        return Verdict(PROMPT, "not measured", "That depends on what was not measured.")
    number, _, fit, lasts = (verdict.word for verdict in verdicts)
    if number in ("no", "partly"):
        return Verdict(PROMPT, "yes", f"{facts.train:,} lines are fewer than {WANTED[task][0]:,}: the best of them as examples "
                       "in a prompt cost nothing and often do as well.")
    if fit == "no":
        return Verdict(PROMPT, "yes", "Training copies the answers as they are; a prompt with a few good ones does not.")
    if lasts == "no":
        return Verdict(PROMPT, "yes", "A prompt that is given today's facts does what training cannot.")
    if _canned(facts, task):
        return Verdict(PROMPT, "yes", f"{facts.distinct_answers:,} answers fit into a prompt, or into a list to choose from.")
    return Verdict(PROMPT, "partly", "There is enough to learn from. Still measure the base model with a good system prompt on "
                   "Evaluate: what training adds is the difference to that.")


def _canned(facts: Facts, task: Task) -> bool:
    return task != "simple" and facts.distinct_answers < CANNED * facts.measured


def _whole(word: Word, verdicts: tuple[Verdict, ...]) -> str:
    against = "" if word == "yes" else ", ".join(_AGAINST[one.question][word] for one in verdicts if one.word == word)
    return {"yes": "Ready to be trained on.", "partly": f"Usable, with reservations: {against}.",
            "no": f"Not ready: {against}.", "not measured": f"It cannot be said yet; not measured: {against}."}[word]


def _share(facts: Facts, part: int) -> str:
    return _percent(min(1.0, part / facts.measured)) if facts.measured else "none"


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")
