"""Judges: asked through the real client, in both orders, never twice, within a budget; believed only as far as people agree."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import judging, rundir
from pipeline.specs import Candidate, Endpoint, JudgeSpec
from studio import forgetting, judges, models, reviews, runs, snapshots, starts
from studio.customers import Customer
from studio.errors import StudioError
from studio.opinions import Opinion
from studio.reviews import Settings
from studio.workspace import Workspace
from tests import chat_server, children
from tests.tickets import freeze_forty, recorded_evaluation, recorded_training

USAGE = {"usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}
COST = 110e-6


def reply(has: str, says: str) -> dict[str, Any]:
    return {"match": {"userMessage": has}, "response": {"content": says} | USAGE}


FIXTURES = [
    reply("ALPHA answer 3\n", "The first one, as always.\nVerdict: A"),
    reply("ALPHA answer 5\n", "I like both."),
    reply(judging.AGAIN, "Neither.\nVerdict: tie"),
    reply("ALPHA answer 6\n", "Verdict: both"),
    reply("<answer A>\nALPHA", "Clearer.\n**Verdict: A**"),
    reply("<answer B>\nALPHA", "Clearer.\nverdict: b"),
    reply("<answer>\nALPHA", "Good.\nScore: 4"),
    reply("<answer>\nOMEGA", "Poor.\nScore: 2/5"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chat_server.serving(tmp_path_factory.mktemp("judge"), FIXTURES) as found:
        yield found


@pytest.fixture
def run(ws: Workspace) -> runs.Run:
    """An evaluation of OMEGA (a, the base) and ALPHA (b, tuned) on twelve items."""
    snapshot = freeze_forty(ws)
    return runs.get(ws, recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot)))


PAIR = ("starter", "trained00001")


def item_ids(ws: Workspace, run: runs.Run) -> list[str]:
    return sorted(item.record_id for item in snapshots.items(ws, snapshots.get(ws, run.snapshot_id), "test"))


def judged(ws: Workspace, run: runs.Run, address: str, mode: str = "pairwise", **more: Any) -> runs.Run:
    """Ask the judge, wait for its end, collect."""
    endpoint = models.add_endpoint(ws, "Judge", address, "judge", price_in=1.0, price_out=1.0)
    run_id = starts.judging(ws, run, endpoint, judges.BUILT_IN["pairwise"][1], [PAIR], mode, **more)
    return children.collected(ws, run_id)


@pytest.mark.slow
def test_a_pair_is_asked_twice_and_a_flip_is_a_tie(ws: Workspace, run: runs.Run, address: str) -> None:
    found = judged(ws, run, address)
    said = judges.outcome(ws, found.run_id, *PAIR)
    assert (found.state, said.items, said.b_wins, said.a_wins, said.ties, said.unread) == ("done", 12, 9, 0, 2, 1)
    assert said.flips.value == pytest.approx(1 / 11)
    assert judges.outcome(ws, found.run_id, *reversed(PAIR)).a_wins == 9
    told = judges.of_evaluation(ws, run.run_id)[0]
    assert (told.asked, told.unread, round(told.spent / COST)) == (24, 2, 28)
    assert ws.value("select sum(cost) from judgements") == pytest.approx(28 * COST)
    assert not (ws.path(found.folder) / "answers.jsonl").exists()


@pytest.mark.slow
def test_the_judge_sees_rubric_question_reference_and_both_answers_and_no_name(
    ws: Workspace, run: runs.Run, address: str
) -> None:
    item = snapshots.items(ws, snapshots.get(ws, run.snapshot_id), "test")[0]
    before = len(chat_server.asked(address))
    judged(ws, run, address, item_ids=[item.record_id])
    body = chat_server.asked(address)[before]["body"]
    text = "\n".join(turn["content"] for turn in body["messages"])
    assert judges.BUILT_IN["pairwise"][1] in text and all(turn["content"] in text for turn in item.messages)
    assert "starter" not in text.lower() and "trained" not in text and body["temperature"] == 0


@pytest.mark.slow
def test_alone_each_answer_gets_a_score_that_stands_among_the_others(ws: Workspace, run: runs.Run, address: str) -> None:
    found = judged(ws, run, address, "absolute")
    values = ws.rows("select candidate_id, avg(value) as value from scores where metric = 'judge' group by 1 order by 1")
    assert [row["value"] for row in values] == [2.0, 4.0]
    said = judges.outcome(ws, found.run_id, *PAIR)
    assert (said.items, said.b_wins, said.a_wins, said.unread) == (12, 9, 0, 3)


@pytest.mark.slow
def test_a_judge_that_said_it_before_is_not_asked_or_paid_again(ws: Workspace, run: runs.Run, address: str) -> None:
    first = judged(ws, run, address)
    before = len(chat_server.asked(address))
    again = judged(ws, run, address)
    assert len(chat_server.asked(address)) - before == 4  # the pair whose replies could not be read, twice in each order
    assert judges.outcome(ws, again.run_id, *PAIR) == judges.outcome(ws, first.run_id, *PAIR)
    assert again.result is not None and "22 of them from earlier runs" in again.result.message
    assert not (ws.path(again.folder) / "known.jsonl").exists()


@pytest.mark.slow
def test_a_budget_stops_before_it_is_passed(ws: Workspace, run: runs.Run, address: str) -> None:
    budget = 0.004
    found = judged(ws, run, address, budget=budget)
    told = judges.of_evaluation(ws, run.run_id)[0]
    assert found.result is not None and "stopped before the budget" in found.result.message
    assert told.budget_reached and 0.5 * budget < told.spent <= budget


def test_a_budget_without_prices_is_refused(ws: Workspace, run: runs.Run, address: str) -> None:
    endpoint = models.add_endpoint(ws, "Priceless", address, "judge")
    with pytest.raises(StudioError, match="needs the judge's prices"):
        starts.judging(ws, run, endpoint, "Which is better?", [PAIR], budget=1.0)


def spec(address: str) -> JudgeSpec:
    endpoint = Endpoint(base_url=address, model="judge", price_in=1.0, price_out=1.0, concurrency=2)
    return JudgeSpec(
        run_id="judged",
        evaluation_id="e",
        items_file="items.jsonl",
        rubric="Which is better?",
        judge=Candidate(model_id="j", name="Judge", endpoint=endpoint),
        pairs=(PAIR,),
    )


@pytest.mark.slow
def test_a_judge_that_is_killed_asks_for_nothing_again(address: str, tmp_path: Path) -> None:
    children.write_examples(tmp_path / "items.jsonl", [(f"i{n}", f"killed question {n}", "Yes.") for n in range(40)])
    folder = children.prepared(tmp_path, spec(address))
    lines = [
        {"candidate_id": who, "item_id": f"i{n}", "sample": 0, "text": f"{name} answer {100 + n}"}
        for n in range(40)
        for who, name in zip(PAIR, ("OMEGA", "ALPHA"), strict=True)
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    child = children.begin_to_kill(folder, tmp_path)
    children.wait_until(lambda: len(rundir.read_lines(folder / "judgements.jsonl")) >= 5, folder)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = rundir.read_lines(folder / "judgements.jsonl")
    ended = children.finished(folder, tmp_path)
    asked = [str(row["body"]) for row in chat_server.asked(address) if "killed question" in str(row["body"])]
    rows = rundir.read_lines(folder / "judgements.jsonl")
    assert ended.outcome == "done" and rows[: len(kept)] == kept and len({row["key"] for row in rows}) == len(rows) == 80
    assert len(asked) - 80 <= 2  # only what was on its way when the process died


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Because.\nVerdict: A", "first"),
        ("Because.\n\n**Verdict: B.**\n", "second"),
        ("VERDICT: Tie", "tie"),
        ("Verdict: A\nBecause.", None),
        ("Verdict: A or B", None),
        ("A", None),
        ("", None),
    ],
)
def test_only_a_last_line_that_is_a_verdict_is_read(text: str, verdict: str | None) -> None:
    assert judging.read(text, "pairwise")[0] == verdict


@pytest.mark.parametrize(("text", "score"), [("Fine.\nScore: 4", 4.0), ("Score: 5/5", 5.0), ("Score: 7", None), ("4", None)])
def test_only_a_last_line_that_is_a_score_is_read(text: str, score: float | None) -> None:
    assert judging.read(text, "absolute")[1] == score


def recorded(ws: Workspace, run: runs.Run, verdicts: dict[str, str]) -> str:
    """A judge's run as it would have been collected: who won each item."""
    snapshot = snapshots.get(ws, run.snapshot_id)
    made = JudgeSpec(
        run_id="judge0000001",
        evaluation_id=run.run_id,
        items_file=snapshot.file("test"),
        rubric="Which is better?",
        judge=Candidate(model_id="j", name="Judge", endpoint=Endpoint(model="judge")),
        pairs=(PAIR,),
    )
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, made, "Judge", run.snapshot_id)
        transaction.insert("judgements", [{
            "judge_run_id": made.run_id, "evaluation_id": run.run_id, "item_id": item, "candidate_a": PAIR[0],
            "candidate_b": PAIR[1], "winner": winner, "flipped": False, "score": None, "reason": "Ann would like it.",
            "cost": None} for item, winner in verdicts.items()])
    return made.run_id


def people(ws: Workspace, run: runs.Run, verdicts: dict[str, str]) -> str:
    """One person's blind verdicts, by item; the session's id."""
    session = reviews.start(ws, run.run_id, PAIR, item_ids(ws, run), Settings(per_person=0), "ann")
    reviews.join(ws, session, "ann")
    found = ws.rows("""select c.card_id, c.left_is_a, p.item_id from review_cards c join review_pairs p using (pair_id)
                       where c.session_id = ?""", [session])
    for card in found:
        winner = verdicts[card["item_id"]]
        side = {"tie": "tie"}.get(winner) or ("left" if (winner == "a") == card["left_is_a"] else "right")
        reviews.judge(ws, session, card["card_id"], Opinion(side), "ann", f"press-{card['card_id']}")
    return session


def test_a_judge_is_held_against_people_once_their_session_is_revealed(ws: Workspace, run: runs.Run) -> None:
    items = item_ids(ws, run)
    run_id = recorded(ws, run, {item: "b" if n < 8 else "a" for n, item in enumerate(items)})
    session = people(ws, run, {item: "b" if n < 6 else "a" if n < 11 else "tie" for n, item in enumerate(items)})
    blind = judges.licence(ws, run_id, *PAIR)
    reviews.reveal(ws, session, "ann")
    found = judges.licence(ws, run_id, *PAIR)
    assert (blind.shared, found.shared, found.accuracy.value, found.licensed) == (0, 12, 9 / 12, False)
    assert found.why.startswith("Unlicensed: people judged 12 of its items blind; a licence needs 30.")
    assert found.kappa.value == pytest.approx((9 / 12 - (8 * 6 + 4 * 5) / 144) / (1 - (8 * 6 + 4 * 5) / 144))


@pytest.mark.parametrize(
    ("right", "of", "b_share", "licensed"), [(26, 30, 0.5, True), (17, 30, 0.5, False), (27, 30, 0.95, False)]
)
def test_enough_agreement_above_chance_is_a_licence(
    right: int, of: int, b_share: float, licensed: bool, monkeypatch: pytest.MonkeyPatch, ws: Workspace, run: runs.Run
) -> None:
    monkeypatch.setattr(judges, "LEAST_SHARED", 12)  # twelve items are all this workspace has
    items = item_ids(ws, run)
    wins = round(b_share * len(items))
    truth = {item: "b" if n < wins else "a" for n, item in enumerate(items)}
    wrong = round((1 - right / of) * len(items))
    said = {item: winner if n >= wrong else "ab"[winner == "a"] for n, (item, winner) in enumerate(truth.items())}
    run_id = recorded(ws, run, said)
    reviews.reveal(ws, people(ws, run, truth), "ann")
    assert judges.licence(ws, run_id, *PAIR).licensed == licensed


def test_a_saved_rubric_stands_behind_the_built_in_one(ws: Workspace) -> None:
    judges.save_rubric(ws, "Short", "pairwise", "The shorter one.", "ann")
    saved = judges.rubrics(ws, "pairwise")
    judges.delete_rubric(ws, saved[1], "ann")
    assert ([one.name for one in saved], len(judges.rubrics(ws, "pairwise"))) == (["Better for the customer", "Short"], 1)


def test_forgetting_takes_judgements_and_words_in_reasons(ws: Workspace, run: runs.Run) -> None:
    items = item_ids(ws, run)
    recorded(ws, run, dict.fromkeys(items, "b"))
    forgetting.forget(ws, Customer((), ("Ann",), ("ann",), (), ()), items[:2], "eve")
    left = ws.rows("select item_id, reason from judgements")
    assert (len(left), {row["reason"] for row in left}) == (10, {""})
