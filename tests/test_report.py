"""The report for somebody who has no studio: one file, everything escaped, what is not known said."""

from __future__ import annotations

import html.parser
import re
import xml.etree.ElementTree as xml

from studio import grids, report, report_charts, report_text, reviews, rivals, runs, snapshots
from studio.report import Report
from studio.report_charts import Bar
from studio.workspace import Workspace
from tests.evaluated import RUN, TUNED, leaking
from tests.tickets import filled

HOSTILE = "<script>alert(1)</script> **bold** [link](http://x) | pipe"


class Tags(html.parser.HTMLParser):
    """The tags and the words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data


def hostile(ws: Workspace) -> Report:
    """A report of an evaluation whose title, names, tags and answers try to be markup."""
    filled(ws)
    with ws.transaction() as transaction:
        transaction.execute(
            "update runs set title = ?, spec = replace(spec, 'Forty in style (tuned)', ?)", [HOSTILE, "<b>T</b>"]
        )
        transaction.execute("update record_now set tags = ?", [HOSTILE])
        transaction.execute("update outputs set text = ?", [HOSTILE])
    return report.of(ws, "evaluated001", examples=2)


def test_every_text_is_escaped_in_html(ws: Workspace) -> None:
    page = report_text.as_html(hostile(ws))
    tags = Tags(page)
    assert (
        {"script", "b2", "a", "img", "link", "iframe"} & set(tags.names),
        "onerror" in tags.attributes,
        HOSTILE in tags.words,
        "<b>T</b>" in tags.words,
        page.count(HOSTILE),
    ) == (set(), False, True, True, 0)


def test_every_text_is_escaped_in_markdown(ws: Workspace) -> None:
    text = report_text.as_markdown(hostile(ws))
    assert not re.search(r"(?<!\\)<script|(?<!\\)\*\*bold|(?<!\\)\[link", text)


def test_the_file_loads_nothing_from_elsewhere(three: Workspace) -> None:
    page = report_text.as_html(report.of(three, RUN, 2)).replace("http://www.w3.org/2000/svg", "")
    assert (re.findall(r"https?://(?!fernhill)|@import|url\(|src=", page), len(page) < 120_000) == ([], True)


def test_a_report_says_the_verdict_on_each_rival_with_its_numbers(three: Workspace) -> None:
    said = report.summary(report.of(three, RUN))
    assert (
        [word for word, _, _ in said],
        [head for _, head, _ in said],
        all("on 60 test items" in numbers for *_, numbers in said),
    ) == (
        ["better", "better"],
        ["The tuned model is better than the base model", "The tuned model is better than the prompted base model"],
        True,
    )


def test_customers_words_are_only_in_it_where_somebody_asked(three: Workspace) -> None:
    without, with_texts = (report_text.as_html(report.of(three, RUN, number)) for number in (0, 2))
    answer = three.value("select text from outputs where candidate_id = ? order by item_id limit 1", ["starter"])
    assert ("<h2>Examples</h2>" in without, answer[:30] in without, with_texts.count("<h3>") in (3, 4)) == (False, False, True)


def test_what_is_not_known_is_said(ws: Workspace) -> None:
    filled(ws)
    said = " ".join(report.of(ws, "evaluated001").unknown)
    assert all(
        words in said
        for words in (
            "not checked for lines that resemble",
            "No person has judged",
            "forgotten was not tested",
            "1 answer stopped at the token limit",
        )
    )


def test_a_revealed_review_is_known(ws: Workspace) -> None:
    filled(ws)
    reviews.reveal(ws, reviews.sessions(ws)[0].session_id, "ann")
    made = report.of(ws, "evaluated001")
    said = "## What people said, blind\n\n- Not enough to say whether people find the tuned model better than the base model"
    assert ("No person has judged" in " ".join(made.unknown), said in report_text.as_markdown(made)) == (False, True)


def test_scores_without_suspicious_items_stand_beside(three: Workspace) -> None:
    run = runs.get(three, RUN)
    leaking(three, snapshots.get(three, run.snapshot_id), 3)
    made = report.gather(three, run, grids.read(three, RUN), rivals.judged(run))
    assert (
        "Without 3 test items that resemble a line" in report_text.as_markdown(made),
        made.without[0].first.items,
        made.judged,
    ) == (True, 57, TUNED)


def test_a_chart_is_whole_and_its_bars_stand_where_their_numbers_are() -> None:
    drawn = report_charts.intervals(
        [Bar("<b>", 0.2, 0.1, 0.3, "better", "better"), Bar("y", -0.2, -0.3, -0.1, "worse", "worse")], "T & C", "x"
    )
    root = xml.fromstring(drawn)
    dots = [float(one.get("cx") or 0) for one in root.iter("{http://www.w3.org/2000/svg}circle")]
    zero = next(one for one in root.iter("{http://www.w3.org/2000/svg}line") if one.get("class") == "zero")
    assert dots[1] < float(zero.get("x1") or 0) < dots[0] and "<b>" in [one.text for one in root.iter()]


def test_ticks_are_round_and_hold_zero() -> None:
    assert (report_charts.ticks(-0.07, 0.33), report_charts.ticks(-3.2, 11)) == ([0.0, 0.1, 0.2, 0.3], [0.0, 5.0, 10.0])


def test_a_chart_without_a_single_difference_is_drawn() -> None:
    assert "circle" in report_charts.intervals([Bar("x", 0.0, 0.0, 0.0, "inconclusive", "?")], "T", "x")
