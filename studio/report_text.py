"""A report written down: one self-contained HTML file, or Markdown. Pure; every text from data is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from studio import metrics, report_charts, verdict_words, word_diff
from studio.report import Report, cost_table, kept_table, slice_table, summary, table
from studio.report_charts import Bar
from studio.rivals import Verdict
from studio.ui.formats import count, signed
from studio.wins import Win

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: light-dark(#1d2b2e, #e4eaeb); background: light-dark(#ffffff, #10191b); }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.faint, figcaption { color: light-dark(#566568, #9fb0b3); font-size: .92rem; }
.verdict { border-left: 5px solid #7d8a8d; padding: .5rem .9rem; margin: .8rem 0; }
.verdict strong { font-size: 1.15rem; display: block; } .verdict p { margin: .25rem 0 0; }
.better { border-color: #2f9563; } .worse { border-color: #cf5860; } .inconclusive { border-color: #b97a14; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid light-dark(#d9e0e1, #33464a); }
td + td, th + th { text-align: right; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; }
svg text { fill: light-dark(#1d2b2e, #e4eaeb); } svg .head { font-weight: 650; font-size: 14px; }
svg .tick, svg .said { font-size: 12px; } svg .zero { stroke: #7d8a8d; stroke-dasharray: 4 4; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid light-dark(#d9e0e1, #33464a); border-radius: 6px;
  padding: .5rem .8rem; margin: .3rem 0; } .text b { display: block; font-size: .8rem; }
u { text-decoration-color: #2a93a6; text-decoration-thickness: 2px; text-underline-offset: 3px; }
"""


def as_html(report: Report) -> str:
    """The whole report as one HTML file that loads nothing from elsewhere."""
    judged = report.roles[report.judged]
    parts = [_head(report), *(f'<div class="verdict {word.split()[0]}"><strong>{verdict_words.SIGNS[word]} {_e(said)}.'  # type: ignore[index]
                              f'</strong><p>{_e(numbers)}</p></div>' for word, said, numbers in summary(report)),
             f'<p class="faint">{_e(verdict_words.correction(report.found))}</p>', _leaking(report),
             "<h2>All candidates on all metrics</h2>", _table(*table(report)),
             *(f"<figure>{_chart(report, one)}</figure>" for one in report.found),
             "<h2>Who won how many items</h2><ul>",
             *(f"<li>{_e(judged)} {won['judged']:,}, {_e(report.roles[rival])} {won['rival']:,}, equal {won['tie']:,}</li>"
               for rival, won in report.won.items()), "</ul>"]
    if any(one.found for one in report.sliced):
        parts += ["<h2>Where</h2>", f"<p class='faint'>By tag, {_e(judged)} against {_e(report.roles[report.found[0].rival])}, "
                  f"on {_e(metrics.title(report.metric))}; the surest losses first.</p>", _table(*slice_table(report))]
    parts += ["<h2>What it costs</h2>", _table(*cost_table(report))]
    if report.kept:
        parts += ["<h2>What was forgotten</h2>", _table(*kept_table(report))]
    if report.people:
        parts += ["<h2>What people said, blind</h2><ul>", *(f"<li>{_e(said)}</li>" for said in report.people), "</ul>"]
    parts += ["<h2>What is not known</h2><ul>", *(f"<li>{_e(said)}</li>" for said in report.unknown), "</ul>",
              *_prompts(report), *_examples(report)]
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width, initial-scale=1"><title>{_e(report.title)}</title><style>{STYLE}</style></head>'
            f'<body>{"".join(parts)}</body></html>\n')


def as_markdown(report: Report) -> str:
    """The same without charts and examples."""
    judged = report.roles[report.judged]
    parts = [f"# {_m(report.title)}\n\n{_m(_when(report))}\n\n"]
    parts += [f"- **{role}**: {_m(report.names[who])}\n" for who, role in report.roles.items()]
    parts += ["\n## Verdict\n\n"]
    parts += [f"**{verdict_words.SIGNS[word]} {_m(said)}.**  \n{_m(numbers)}\n\n" for word, said, numbers in summary(report)]  # type: ignore[index]
    parts += [f"{_m(verdict_words.correction(report.found))}\n\n"]
    if said := _without_words(report):
        parts += [f"{_m(said)}\n\n"]
    parts += ["## All candidates on all metrics\n\n", _mtable(*table(report))]
    parts += ["\n## Who won how many items\n\n", *(
        f"- {judged} {won['judged']:,}, {report.roles[rival]} {won['rival']:,}, equal {won['tie']:,}\n"
        for rival, won in report.won.items())]
    if any(one.found for one in report.sliced):
        parts += ["\n## Where\n\n", _mtable(*slice_table(report))]
    parts += ["\n## What it costs\n\n", _mtable(*cost_table(report))]
    if report.kept:
        parts += ["\n## What was forgotten\n\n", _mtable(*kept_table(report))]
    if report.people:
        parts += ["\n## What people said, blind\n\n", *(f"- {_m(said)}\n" for said in report.people)]
    return "".join([*parts, "\n## What is not known\n\n", *(f"- {_m(said)}\n" for said in report.unknown)])


def _head(report: Report) -> str:
    who = "".join(f"<li><strong>{_e(role)}</strong>: {_e(report.names[candidate])}</li>"
                  for candidate, role in report.roles.items())
    return f'<h1>{_e(report.title)}</h1><p class="faint">{_e(_when(report))}</p><ul>{who}</ul>'


def _when(report: Report) -> str:
    return (f"Snapshot {report.snapshot.name} ({report.snapshot.snapshot_id}), answered {report.answered_at:%d %b %Y}, "
            f"{report.decoding}. Written {report.made_at:%d %b %Y, %H:%M} UTC by Tunewright, evaluation {report.run_id}. "
            "Intervals are 95 % and paired: every candidate answered the same items.")


def _without_words(report: Report) -> str:
    if not report.suspicious:
        return ""
    if not report.without:
        return "Every test item resembles a line of the training data: these scores prove nothing."
    said = "; ".join(f"against {report.roles[one.rival]} {signed(*one.first.difference.parts)}, {one.first.word}"
                     for one in report.without)
    return f"Without {count(report.suspicious, 'test item')} that resemble a line of the training data: {said}."


def _leaking(report: Report) -> str:
    said = _without_words(report)
    return f"<p>{_e(said)}</p>" if said else ""


def _chart(report: Report, one: Verdict) -> str:
    shown = [found for found in one.every if metrics.of(found.metric).high == 1.0]
    bars = [Bar(metrics.title(found.metric), *found.difference.parts, found.word, found.word) for found in shown]
    judged, rival = report.roles[report.judged], report.roles[one.rival]
    return report_charts.intervals(bars, f"How much better than {verdict_words.noun(rival)}, and how sure are we?",
                                   f"{judged} minus {rival}, 95 % paired interval") if bars else ""


def _prompts(report: Report) -> list[str]:
    if not report.prompts:
        return []
    return ["<h2>System prompts</h2>", *(f'<div class="text"><b>{_e(report.roles[who])}</b>{_e(text)}</div>'
                                         for who, text in report.prompts.items())]


def _examples(report: Report) -> list[str]:
    if not report.examples:
        return []
    rival, judged = report.roles[report.found[0].rival], report.roles[report.judged]
    return ["<h2>Examples</h2>", '<p class="faint">The heaviest losses, then the largest wins. Underlined: words of the '
            "reference.</p>", *(_example(one, rival, judged) for one in report.examples)]


def _example(one: Win, rival: str, judged: str) -> str:
    asked = "\n\n".join(turn["content"] for turn in one.question if turn["role"] != "system")
    won = {"judged": f"{judged} better", "rival": f"{rival} better"}.get(one.winner, "equal")
    answers = "".join(f'<div class="text"><b>{_e(name)}: {answer.score:.3f}</b>'
                      f"{word_diff.common(one.reference, answer.text)}</div>"
                      for name, answer in ((rival, one.rival), (judged, one.judged)))
    return (f'<h3>{_e(won)}, {one.gain:+.2f}</h3><div class="text"><b>Customer</b>{_e(asked)}</div>{answers}'
            f'<div class="text"><b>Reference</b>{_e(one.reference)}</div>')


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_e(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{_e(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _mtable(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *("---:" for _ in heads[1:])]]
    return "".join("| " + " | ".join(map(_m, row) if place != 1 else row) + " |\n"
                   for place, row in enumerate([*lines, *rows]))


def _e(text: str) -> str:
    return html.escape(text)


def _m(text: str) -> str:
    """Text that Markdown takes as it is: no formatting, links or tags come from it."""
    for mark in "\\`*_{}[]#|<>~":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
