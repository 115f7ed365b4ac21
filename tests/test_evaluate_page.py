"""The Evaluate page view by view, under Streamlit's own test driver."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import marks, prompts, records, reviews, runs, search, snapshots
from studio import workspace as folders
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests.conftest import ROOT
from tests.evaluated import PROMPTED, RUN, TUNED, later, leaking, recorded
from tests.test_pages import draw, home, words  # noqa: F401  (a fixture)
from tests.tickets import filled, freeze_forty, recorded_training

pytestmark = pytest.mark.heavy

VIEWS = ("Start", "Verdict", "Where", "Answers", "Scores", "Judge", "Cost", "Compare", "Report")


@pytest.fixture
def held(tmp_path: Path, evaluated_home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace with three candidates, open as the app has it."""
    shutil.copytree(evaluated_home, tmp_path / "held")
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "held"))
    return folders.open_workspace(tmp_path / "held")


def said(page: AppTest) -> str:
    return words(page).replace("\\", "")


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws(held: Workspace, view: str) -> None:
    page = draw("evaluate", view=view, run=RUN)
    assert (list(page.exception), list(page.error)) == ([], [])


@pytest.mark.parametrize("view", ("Verdict", "Answers", "Cost"))
def test_two_candidates_and_few_items_are_enough(home: Path, view: str) -> None:  # noqa: F811
    filled(folders.open_workspace(home))
    page = draw("evaluate", view=view)
    assert (list(page.exception), list(page.error)) == ([], [])


def test_the_verdict_speaks_of_each_rival(held: Workspace) -> None:
    page = draw("evaluate")
    heads = [one.value for one in page.subheader]
    assert (
        sum("The tuned model is better than the " in head for head in heads),
        "corrected for that (Holm)" in said(page),
        list(page.dataframe[0].value.columns[:4]),
    ) == (2, True, ["metric", "base", "prompted base", "tuned"])


def test_who_is_judged_can_be_chosen_in_the_address(held: Workspace) -> None:
    page = draw("evaluate", judged="prompted base")
    assert "The prompted base model is worse than the tuned model" in said(page)


def test_suspicious_items_are_said_and_every_score_stands_without_them(held: Workspace) -> None:
    leaking(held, snapshots.every(held)[0], 2)
    page = draw("evaluate")
    assert (
        "2 test items are, or resemble, a line of train" in said(page),
        said(page).count("Without the suspicious items"),
        "against base without suspicious" in page.dataframe[0].value.columns,
    ) == (True, 2, True)


def test_where_every_item_is_suspicious_the_verdict_stays_and_the_reason_is_said(held: Workspace) -> None:
    leaking(held, snapshots.every(held)[0], 60)
    page = draw("evaluate")
    assert (list(page.exception), "nothing is left to compare on" in said(page), "better than" in said(page)) == (
        [],
        True,
        True,
    )


def test_answers_that_were_cut_off_are_said(home: Path) -> None:  # noqa: F811
    filled(folders.open_workspace(home))
    assert "token limit: base 1, tuned 0" in words(draw("evaluate"))


def test_where_says_how_many_slices_are_surely_better(held: Workspace) -> None:
    page = draw("evaluate", view="Where")
    assert ("slices by tag" in said(page), set(page.dataframe[0].value["verdict"]) >= {"too few"}) == (True, True)


def test_a_slice_leads_to_its_answers(held: Workspace) -> None:
    page = press(draw("evaluate", view="Where"), "Read the answers")
    assert (list(page.exception), any("1–" in one.value and "of" in one.value for one in page.caption)) == ([], True)


def test_labelling_a_slice_tags_its_records(held: Workspace) -> None:
    page = draw("evaluate", view="Where")
    press(page, "Label these")
    assert len(marks.tags(held)) == 1 and marks.tags(held)[0].startswith("evaluated: tag ")


def test_records_like_a_slice_are_kept_and_brought_back(held: Workspace) -> None:
    while search.read_on(held):
        pass
    page = draw("evaluate", view="Where")
    next(one for one in page.toggle if one.key == "like").set_value(True).run()
    keep = next(button for button in page.button if button.label.startswith("Keep "))
    before = records.counts(held).keep
    keep.click().run()
    after = records.counts(held).keep
    press(page, "Undo my last act")
    assert (after > before, records.counts(held).keep) == (True, before)


def test_answers_turn_page_by_page(held: Workspace) -> None:
    page = draw("evaluate", view="Answers")
    first = [one.label for one in page.expander]
    page = press(page, "On")
    assert (any("11–20 of 60 items" in one.value for one in page.caption), [one.label for one in page.expander] == first) == (
        True,
        False,
    )


def test_answers_show_only_those_that_the_rival_won(held: Workspace) -> None:
    page = draw("evaluate", view="Answers", against="prompted base")
    won = next(control for control in page.get("button_group") if control.label == "Show")
    won.set_value("rival").run()
    cards = [one.label for one in page.expander if "·" in one.label]
    assert cards and all("prompted base better" in card for card in cards)


def test_cost_says_what_was_forgotten_and_whether_it_memorised(held: Workspace) -> None:
    page = draw("evaluate", view="Cost")
    assert ("general questions" in said(page), "No sign of it" in said(page)) == (True, True)


def test_cost_warns_of_a_training_that_memorised(held: Workspace) -> None:
    with (held.path("runs/trained00001") / "events.jsonl").open("a") as events:
        for step, loss in ((11, 2.0), (12, 2.6)):
            events.write(f'{{"event": "validation", "step": {step}, "epoch": 3.0, "loss": {loss}, "at": 0}}\n')
    assert "validation loss rose from 1.200 to 2.600" in said(draw("evaluate", view="Cost"))


def test_compare_says_in_words_that_other_items_are_not_comparable(held: Workspace) -> None:
    later(held)
    recorded(held, snapshots.freeze(held, "Other", Recipe(sizes=(150, 30, 50), seed=5)), "evaluated009")
    page = draw("evaluate", view="Compare")
    assert ("2 different sets of test items" in "".join(one.value for one in page.info), len(page.dataframe)) == (True, 2)


def test_the_form_offers_base_prompted_base_and_tuned_and_says_what_is_there(held: Workspace) -> None:
    page = draw("evaluate", view="Start")
    assert (
        [box.value for box in page.checkbox],
        "**3 candidates** × **60 test items** and the general suite: 300 answers" in said(page),
        "experienced customer support agent" in page.text_area[0].value,
    ) == ([True, True, False, True], True, True)


def test_a_comparison_needs_two(held: Workspace) -> None:
    page = draw("evaluate", view="Start")
    for box in page.checkbox[:2]:
        box.uncheck()
    page.run()
    start = next(button for button in page.button if button.label == "Start evaluation")
    assert (start.disabled, "Choose at least two" in said(page)) == (True, True)


def test_a_prompt_is_saved_under_a_name(held: Workspace) -> None:
    page = draw("evaluate", view="Start")
    page.text_area[0].set_value("Be brief.").run()
    next(field for field in page.text_input if field.label == "Save it as").set_value("Brief").run()
    press(page, "Save prompt")
    assert [(one.name, one.text) for one in prompts.every(held)] == [("Brief", "Be brief.")]


def test_before_the_first_evaluation_only_the_form_is_there(home: Path) -> None:  # noqa: F811
    ws = folders.open_workspace(home)
    recorded_training(ws, freeze_forty(ws))
    page = draw("evaluate")
    assert (list(page.exception), "Start evaluation" in [one.label for one in page.button]) == ([], True)


def test_a_run_that_failed_shows_its_log_and_no_verdict(held: Workspace) -> None:
    (held.path(f"runs/{RUN}") / "result.json").unlink()
    (held.path(f"runs/{RUN}") / "launch.json").write_text('{"attempt": 1, "at": 0}')
    page = draw("evaluate", run=RUN, view="Verdict")
    assert (runs.get(held, RUN).state, "gone without a word" in said(page), "better than" in said(page)) == (
        "lost",
        True,
        False,
    )


def test_a_review_is_held_between_the_prompted_base_and_the_tuned_model(held: Workspace) -> None:
    press(draw("review"), "Open the session")
    assert reviews.sessions(held)[0].candidates == (PROMPTED, TUNED)


def test_the_command_writes_a_report(tmp_path: Path, evaluated_home: Path) -> None:
    shutil.copytree(evaluated_home, tmp_path / "ws")
    arguments = ["report", "latest", "--workspace", str(tmp_path / "ws"), "--format", "md", "--out", str(tmp_path / "r.md")]
    done = subprocess.run(
        [sys.executable, "-c", "from studio.cli import main; main()", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "is better than the prompted base model" in done.stdout, (tmp_path / "r.md").exists()) == (
        0,
        True,
        True,
    )
