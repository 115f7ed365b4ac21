"""The report of an evaluation: what was compared, what it showed and what is not known, for somebody who has no studio.

Its facts are gathered once and written as one self-contained HTML file or as Markdown. Texts of customers are only in it where
somebody asked for examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from studio import (
    cards,
    costs,
    grids,
    leaks,
    metrics,
    prices,
    review_stats,
    reviews,
    rivals,
    runs,
    slices,
    snapshots,
    verdict_words,
    wins,
)
from studio.costs import Cost, Kept
from studio.errors import StudioError
from studio.evaluations import decoding
from studio.grids import Grid
from studio.permissions import needs
from studio.rivals import Verdict
from studio.runs import Run
from studio.slices import Slice
from studio.snapshots import Snapshot
from studio.ui.formats import count, interval, share
from studio.verdicts import MIN_ITEMS
from studio.wins import Win
from studio.workspace import Workspace

SLICES = 12
"""So many slices by tag are shown, the surest losses first."""


@dataclass(frozen=True)
class Report:
    """All that a report says. `names` and `roles` are by candidate, in their order; `without` are the verdicts without the
    `suspicious` items; `won` counts items by rival; `examples` are the judged one's heaviest losses and largest wins against
    the first rival, none unless they were asked for; `unknown` are sentences, so are `people`: what reviews found, blind."""

    title: str
    run_id: str
    snapshot: Snapshot
    made_at: datetime
    answered_at: datetime
    decoding: str
    names: dict[str, str]
    roles: dict[str, str]
    prompts: dict[str, str]
    judged: str
    found: list[Verdict]
    suspicious: int
    without: list[Verdict]
    won: dict[str, dict[wins.Won, int]]
    sliced: list[Slice]
    costs: list[Cost]
    money: dict[str, str]
    kept: list[Kept]
    unknown: list[str]
    people: list[str] = field(default_factory=list)
    examples: list[Win] = field(default_factory=list)

    @property
    def metric(self) -> str:
        return self.found[0].first.metric


@needs("export", looks=True)
def gather(ws: Workspace, run: Run, grid: Grid, who: str, examples: int = 0) -> Report:
    """Everything a report says, with `examples` losses and as many wins as texts. Raises StudioError without scores."""
    snapshot = snapshots.get(ws, run.snapshot_id)
    found = rivals.judge(run, grid, who)
    learned = leaks.learned(ws, run.snapshot_id, [one.model_id for one in runs.candidates(run)])
    suspicious = (leaks.suspicious(ws, run.snapshot_id) | learned) & set(map(str, grid.items))
    metric, rival = found[0].first.metric, found[0].rival
    scored = metric if metric in grid.metrics else "accuracy"
    spent, price = costs.of(ws, run), prices.now(ws)
    forgot = costs.kept(ws, run, rival, who)
    left = len(grid.items) > len(suspicious) > 0
    return Report(
        title=run.title, run_id=run.run_id, snapshot=snapshot, made_at=ws.now(), answered_at=run.started_at,
        decoding=decoding(run), names=rivals.names(run), roles=rivals.roles(run), judged=who, found=found,
        prompts={one.candidate_id: one.system for one in runs.candidates(run) if one.system is not None},
        suspicious=len(suspicious), without=rivals.judge(run, grid, who, suspicious) if left else [],
        won={one.rival: wins.counted(wins.gains(grid, scored, one.rival, who)) for one in found},
        sliced=slices.cut(grid, slices.part(ws, run, grid, "tag"), metric, rival, who)[:SLICES], costs=spent,
        money={one.candidate_id: costs.money(one, price, costs.unit(run)) for one in spent}, kept=forgot,
        unknown=_unknown(ws, run, snapshot, found, spent, bool(forgot)), people=_people(ws, run),
        examples=_examples(ws, run, grid, scored, rival, who, examples) if examples else [])


def _people(ws: Workspace, run: Run) -> list[str]:
    """What each review of these answers that was ended allows one to say, oldest first."""
    called = {one: verdict_words.noun(role) for one, role in rivals.roles(run).items()}
    said = []
    for session in reversed(reviews.sessions(ws, run.run_id)):
        if session.revealed and session.done:
            found = review_stats.result(reviews.standing(ws, session.session_id), session.settings, session.candidates,
                                        session.same, None)
            said += [f"{review_stats.headline(one, called)}. {review_stats.numbers(one, called)} "
                     f"{count(len(found.people), 'reviewer')}." for one in found.versus]
    return said


@needs("export", looks=True)
def of(ws: Workspace, run_id: str, examples: int = 0) -> Report:
    """The report of an evaluation on who is judged where nobody chose."""
    run = runs.get(ws, run_id)
    return gather(ws, run, grids.read(ws, run_id), rivals.judged(run), examples)


@needs("read")
def newest(ws: Workspace) -> str:
    """The id of the newest evaluation that is done. Raises StudioError where there is none."""
    found = runs.proven(ws)
    if not found:
        raise StudioError("No evaluation is done yet.", "Start one on the Evaluate page.")
    return found[0].run_id


@needs("export")
def take_out(ws: Workspace, run_id: str, text: str) -> str:
    """A report as it leaves: the audit trail notes it. Returns the text."""
    return text


def known_form(form: str) -> str:
    """The form of a report. Raises StudioError for another word."""
    if form not in ("html", "md"):
        raise StudioError(f"A report is html or md, not {form!r}.")
    return form


def file_name(report: Report, kind: str) -> str:
    return f"tunewright-report-{report.run_id}.{kind}"


def summary(report: Report) -> list[tuple[str, str, str]]:
    """For each rival: the word, the headline, and the numbers under it."""
    judged = report.roles[report.judged]
    return [(one.first.word, verdict_words.headline(one.first, judged, report.roles[one.rival]),
             f"{verdict_words.numbers(one.first, judged, report.roles[one.rival])} {verdict_words.reach(one.first)}")
            for one in report.found]


def table(report: Report) -> tuple[list[str], list[list[str]]]:
    """Every candidate on every metric with intervals, then the verdict against each rival: heads and rows."""
    heads = ["Metric", *(report.roles[one.rival] for one in report.found), report.roles[report.judged],
             *(f"against {report.roles[one.rival]}" for one in report.found)]
    by_metric = [{found.metric: found for found in one.every} for one in report.found]
    order = list(dict.fromkeys(metric for one in by_metric for metric in one))
    rows = []
    for metric in order:
        there = [one.get(metric) for one in by_metric]
        mine = next(one for one in there if one is not None)
        digits = verdict_words.digits(mine)
        rows.append([metrics.title(metric), *(interval(*one.a.parts, digits) if one else "–" for one in there),
                     interval(*mine.b.parts, digits), *(one.word if one else "–" for one in there)])
    return heads, rows


def cost_table(report: Report) -> tuple[list[str], list[list[str]]]:
    heads = ["Candidate", "Answers", "Median", "Slowest 5 % take over", "Tokens an answer", "1,000 answers cost",
             "Stopped at the limit"]
    return heads, [[report.roles[one.candidate_id], f"{one.answers:,}", f"{one.median:.2f} s", f"{one.p95:.2f} s",
                    f"{one.new_tokens / one.answers:.0f}", report.money[one.candidate_id], share(one.cut, one.answers)]
                   for one in report.costs]


def slice_table(report: Report) -> tuple[list[str], list[list[str]]]:
    heads = ["Tag", "Items", "Difference", "Verdict"]
    digits = verdict_words.places(report.metric)
    return heads, [[one.name, f"{one.items:,}", interval(*one.found.difference.parts, digits) if one.found else "–",
                    one.found.word if one.found else "too few"] for one in report.sliced]


def kept_table(report: Report) -> tuple[list[str], list[list[str]]]:
    heads = ["General suite", report.roles[report.found[0].rival], report.roles[report.judged], "Difference"]
    return heads, [[one.title, f"{one.before} of {one.items}", f"{one.after} of {one.items}",
                    interval(*one.found.difference.parts)] for one in report.kept]


def _examples(ws: Workspace, run: Run, grid: Grid, metric: str, rival: str, who: str, number: int) -> list[Win]:
    gain = wins.gains(grid, metric, rival, who)
    lost = wins.places(gain, "rival", "losses")[:number]
    won = wins.places(gain, "judged", "wins")[:number]
    return wins.page(ws, run, grid, metric, rival, who, [*lost, *won])


def _unknown(ws: Workspace, run: Run, snapshot: Snapshot, found: Sequence[Verdict], spent: Sequence[Cost],
             suite: bool) -> list[str]:
    """What this evaluation cannot say, one sentence each."""
    first, card = found[0].first, cards.get(ws, snapshot.snapshot_id)
    said = [f"The {count(first.items, 'test item')} come from one snapshot: nothing is known of tickets unlike these, or of "
            "later ones."]
    if first.items < MIN_ITEMS:
        said.append(f"Fewer than {MIN_ITEMS} test items cannot carry a verdict.")
    if card is None or card.leaks is None:
        said.append("The test items were not checked for lines that resemble training data.")
    if not any(session.run_id == run.run_id and session.revealed for session in reviews.sessions(ws)):
        said.append("No person has judged these answers blind: whether people find them better is not known.")
    if not suite:
        said.append("Whether general abilities were forgotten was not tested.")
    cut = sum(one.cut for one in spent)
    if cut:
        said.append(f"{count(cut, 'answer')} stopped at the token limit: their scores may change with a longer one.")
    if not float(run.spec.get("decoding", {}).get("temperature") or 0):
        said.append("Answers are greedy, one an item: how much answers vary from one time to the next is not known.")
    said.append("A score compares words with one reference answer; a good answer in other words may score low.")
    return said
