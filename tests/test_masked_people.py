"""What a viewer may read names no customer: a workspace in which every place holds one, and every noun that only looks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import Candidate, Decoding, DriftSpec, Endpoint, JudgeSpec, dumps
from studio import (
    adjudicate,
    alerts,
    evaluations,
    findings,
    grids,
    groups,
    intake,
    label_sets,
    labels,
    marks,
    models,
    named,
    own_metrics,
    places,
    planning,
    playground,
    records,
    reviews,
    runs,
    services,
    snapshots,
    targets,
    team,
    traffic,
)
from studio.candidates import Chosen
from studio.columns import Choices, Columns
from studio.errors import StudioError
from studio.opinions import Fault, Opinion
from studio.people import Person
from studio.recipes import Recipe as Recipes
from studio.records import Filter
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests import logs as production
from tests.checks import found, recorded_check, write_lines
from tests.plays import asked
from tests.recorded_twins import recorded_search
from tests.test_made import written
from tests.test_permissions import declared, nouns
from tests.tickets import opened, recorded_evaluation, recorded_training, write_csv

NAME, MAIL = "Ana Karenina", "ana.karenina@mail.example"
SAYS = f"I am {NAME}, write to {MAIL}."
OWNER, VIEWER, REVIEWER = "olga@example.org", "vera@example.org", "rita@example.org"
WITHOUT = ["deploys.pushes", "deploys.vllm_command"]
"""Nouns that need an export, which nobody made here: it holds no text."""
NAMING = ("records.get", "reviews.standing", "reviews.texts", "runs.every", "slices.part", "snapshots.items", "wins.page")
"""Nouns that name her to who may read personal data."""
ACTS = ("reviews.join", "reviews.judge", "reviews.undo", "reviews.stored")
"""Nouns of reviewers that store something, or say yes or no."""


@dataclass(frozen=True)
class World:
    """A workspace and what there is in it, by the names that nouns give their parameters."""

    ws: Workspace
    given: dict[str, Any]


def lived(ws: Workspace) -> World:
    """Every customer is Ana, and everything that was written says so. Of even records a check found her, odd ones are not
    checked as they are worded now."""
    for who, role in ((OWNER, "owner"), (VIEWER, "viewer"), (REVIEWER, "reviewer")):
        team.give(ws, who, role, "test")  # type: ignore[arg-type]
    rows: list[tuple[str, ...]] = [
        (f"T{n}", NAME, MAIL, f"Where is parcel {n}? {SAYS}", f"Dear {NAME}, parcel {n} is on its way.", "late")
        for n in range(40)]
    path = write_csv(ws.root / "forty.csv", rows, ("id", "name", "mail", "question", "reply", "topic"))
    report = intake.import_file(ws, path, path.name, Choices(Columns("question", "reply", ticket="id", name="name",
                                                                     email="mail", tags="topic")))
    ids = [one.record_id for one in records.page(ws, Filter(), 40)]
    recorded_check(ws, [line for one in ids for line in _of_her(ws, one)])
    soon = {"role": "assistant", "content": f"Dear {NAME}, soon."}
    records.rewrite(ws, [(one.record_id, 1, [*one.messages[:-1], soon]) for one in records.every(ws, ids[1::2])], "eve", "soon")
    snapshot = snapshots.freeze(ws, "All", Recipe(sizes=(20, 6, 12)), findings.privacy_gate(ws), "eve")
    recorded_training(ws, snapshot)
    run_id = recorded_evaluation(ws, snapshot, "trained00001")
    with ws.transaction() as transaction:
        transaction.execute("update outputs set text = text || ?", [f" Dear {NAME}. {SAYS}"])
    tested = [item.record_id for item in snapshots.items(ws, snapshot, "test")]
    write_lines(ws.path(f"runs/{run_id}/nearest.jsonl"), [{"item_id": one, "train_ids": ids[:9]} for one in tested])
    (ws.path(f"runs/{run_id}") / "log.txt").write_text(SAYS)
    recorded_search(ws, ids, pairs=[(ids.index(a), ids.index(b), 0.9) for a, b in pairwise(tested)])
    set_id = _talked_about(ws, ids)
    session = _reviewed(ws, run_id)
    asked(ws, SAYS, {"A": f"Dear {NAME}.", "B": "There."}, "ask1", "t1")
    playground.save_for_review(ws, "ask1", "eve", "save1")
    _judged(ws, run_id, snapshot.snapshot_id, tested)
    _in_production(ws)
    written(ws)
    _drifted(ws)
    return World(ws, _given(ws, report.import_id, ids, run_id, session, set_id))


def _of_her(ws: Workspace, record_id: str) -> Iterator[dict[str, Any]]:
    for turn, message in enumerate(records.get(ws, record_id).messages):
        for kind, word in (("name", NAME), ("email", MAIL)):
            if (start := message["content"].find(word)) >= 0:
                yield found(record_id, kind, turn=turn, start=start, end_=start + len(word), replacement="[X]")


def _talked_about(ws: Workspace, ids: list[str]) -> str:
    note = {"key": "note", "title": "Note", "kind": "text"}
    kind = {"key": "kind", "title": "Kind", "kind": "choice", "options": [{"value": "a", "title": "A"},
                                                                         {"value": "b", "title": "B"}]}
    example = {"record_id": ids[0], "why": SAYS, "answer": {"note": SAYS, "kind": "a"}}
    made = label_sets.save(ws, {"name": "Notes", "guidelines": "Read.", "examples": [example], "needed": 2,
                                "fields": [note, kind]}, "eve")
    for place, one in enumerate(ids[:3]):
        for who in ("eve", "bob"):
            labels.answer(ws, made.set_id, one, {"note": SAYS, "kind": "a" if who == "eve" else "b"}, who, f"{who}{place}")
        marks.put(ws, one, "comment", SAYS, "eve", f"comment{place}")
    adjudicate.settle(ws, made.set_id, ids[0], {"note": SAYS, "kind": "a"}, "eve", "settled")
    return made.set_id


def _reviewed(ws: Workspace, run_id: str) -> str:
    session = opened(ws, run_id, 4, "eve", by="twins")
    for place, card in enumerate(reviews.window(ws, session, "eve", 40)):
        said = Opinion("left", faults=(Fault("left", 0, 3, "made_up", SAYS),), note=SAYS, better=f"Dear {NAME}, soon.")
        reviews.judge(ws, session, card.card_id, said, "eve", f"judged{place}")
    reviews.join(ws, session, REVIEWER)
    for place, card in enumerate(reviews.window(ws, session, REVIEWER, 2)):
        reviews.judge(ws, session, card.card_id, Opinion("tie"), REVIEWER, f"hers{place}")
    reviews.reveal(ws, session, "eve")
    return session


def _run(ws: Workspace, spec: Any, title: str, snapshot_id: str = "") -> Child:
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, title, snapshot_id)
    folder = ws.path(f"runs/{spec.run_id}")
    rundir.prepare(folder, dumps(spec))
    rundir.note_launch(folder, ws.now().timestamp())
    return Child(folder)


def _judged(ws: Workspace, run_id: str, snapshot_id: str, tested: list[str]) -> None:
    judge = Candidate(model_id="j", name="Judge", endpoint=Endpoint(model="judge"))
    pair = ("starter", "trained00001")
    child = _run(ws, JudgeSpec(run_id="judged000001", evaluation_id=run_id, items_file="x", rubric="Better?", judge=judge,
                               pairs=(pair,)), "Judge", snapshot_id)
    lines = [{"key": f"{item}{turn}", "item_id": item, "first": a, "second": b, "verdict": "first", "score": None,
              "reason": SAYS, "cost": 0.1} for item in tested for turn, (a, b) in enumerate((pair, pair[::-1]))]
    write_lines(child.folder / "judgements.jsonl", lines)
    child.finish("done", "Judged.", data={"asked": 24, "unread": 0, "spent": 1.0, "money": "USD", "budget_reached": False})
    runs.collect(ws)


def _in_production(ws: Workspace) -> None:
    rows = [row | {"question": f"Where is it? {SAYS}", "answer": f"Dear {NAME}.", "user": MAIL, "request_id": f"{MAIL}{n}"}
            for n, row in enumerate(production.rows(60))]
    production.bring(ws, production.lines(ws.root / "log.jsonl", [*rows, f"no row of {NAME}"]))
    targets.say(ws, "latency_p50", 0.1, "eve", "", "", 20, 24.0)
    alerts.review(ws)
    traffic.to_queue(ws, [str(ws.value("select min(row_id) from log_rows"))], "odd", "eve")


def _drifted(ws: Workspace) -> None:
    """A check whose new topic is called by her name, with the alert that repeats it."""
    since = production.START
    child = _run(ws, DriftSpec(run_id="drifted00001", since=since.isoformat(), until=(since + timedelta(days=7)).isoformat(),
                               weeks=4, rows=30, before_rows=30), "Drift of production")
    sentence = f"Questions are unlike those of the training data: 20 % about {NAME}."
    part = {"what": "questions", "against": "before", "now": 30, "then": 30, "drifted": True, "adjusted": 0.0, "p_value": 0.0,
            "auc": [0.9, 0.8, 1.0], "in_families": 0.0, "parts": [], "unlike": [],
            "topics": [{"kind": "new", "words": ["karenina"], "share": 0.2, "before": 0.0, "row_ids": []}]}
    child.finish("done", sentence, data={"drifted": True, "level": 0.01, "comparisons": [part], "weeks": [], "languages": [],
                                         "lengths": [], "refusals": {"row_ids": []}, "rows": {}, "looked_at": {},
                                         "sentence": sentence, "advice": ""})
    runs.collect(ws)

    @dataclass(frozen=True)
    class Drift:
        drifted: bool = True
        sentence: str = ""
        row_ids: tuple[str, ...] = ()

    alerts.about_drift(ws, Drift(sentence=sentence))


def _given(ws: Workspace, import_id: str, ids: list[str], run_id: str, session: str, set_id: str) -> dict[str, Any]:
    """Values by the names of parameters, or by `noun.name` where a name means something else to a noun; of a list each is
    tried."""
    run, snapshot, decoding = runs.get(ws, run_id), snapshots.every(ws)[0], Decoding()
    tuned, every = models.get(ws, "trained00001"), runs.every(ws)
    grid, [first, second, *_] = grids.read(ws, run_id), evaluations.entries(ws, "rougeL")
    own_metrics.save(ws, "Own", "def score(answer, reference, item):\n    return 1.0\n", "eve")
    with ws.transaction() as transaction:
        groups.add_row(ws, transaction, "group", "A group", snapshot.snapshot_id)
    return {
        "a": "starter", "paired.a": first, "after": tuned.model_id, "comparison.after": "none", "asked": run.spec,
        "alert_id": [one.alert_id for one in alerts.every(ws)], "b": tuned.model_id, "paired.b": second, "base": tuned.base,
        "before": "starter", "comparison.before": snapshot.snapshot_id, "candidate_id": tuned.model_id,
        "by": ["tag", "twins", "source", "marked", "length", "expected", "fault", "language", f"label:{set_id}:kind"],
        "candidates": [["starter", "a", "b"]], "chosen": [[Chosen(tuned)]], "spec.chosen": Chosen(tuned), "confidence": 0.5,
        "days": None, "decoding": decoding, "evaluation_id": run_id, "grid": grid, "group_id": "group", "held": "lora",
        "import_id": import_id, "item_ids": [list(map(str, grid.items))], "judge": None, "judged": tuned.model_id,
        "keys": [["key"]], "kind": [None, "drift"], "comparison.kind": ["removed", "added"], "named.kind": list(named.KINDS),
        "over.kind": "judge", "label_set": label_sets.get(ws, set_id), "limit": 50, "measure": "latency_p50",
        "metric": "rougeL", "mode": ["pairwise", "absolute"], "model": tuned, "live.model": "", "drifts.model": "",
        "speed.model": "m", "price.model": "m", "model_id": tuned.model_id, "model_ids": [[tuned.model_id]], "most": 10,
        "name": "Own", "services.name": "OpenAI", "number": 5, "plan": planning.plan(ws, Recipe(sizes=(20, 6, 12))).sha256,
        "positions": [list(range(60))], "probes": False, "processes": 1, "question": {"base": tuned.base},
        "path": ws.path(f"runs/{run_id}/events.jsonl"), "recipe": Recipes(each=1, seed_ids=tuple(ids)), "record_id": ids[:4],
        "record_ids": [ids], "rival": "starter", "run": every, "wins.run": run, "slices.run": run, "seconds": 0.0,
        "run_id": [one.run_id for one in every], "judges.run_id": "judged000001", "served": tuned, "server": run,
        "service": services.BUILT_IN[0], "session": reviews.get(ws, session), "session_id": session, "set_id": set_id,
        "shown": [list(range(len(grid.items)))], "side": ["question", "answer"], "since": production.START,
        "snapshot": snapshot, "snapshot_id": snapshot.snapshot_id, "snapshot_ids": [[snapshot.snapshot_id]],
        "split": ["train", "validation", "test"], "target": targets.every(ws), "too_long": "x", "tuned": tuned,
        "until": ws.now(), "where": [list(places.find(ws, ids).values())], "card_id": _cards(ws, session)[:4],
    }


def _cards(ws: Workspace, session: str) -> list[str]:
    return [row["card_id"] for row in ws.rows("select card_id from review_cards where session_id = ? and who = ? order by 1",
                                              [session, REVIEWER])]


def calls(given: Mapping[str, Any], name: str, noun: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Arguments for a noun: every value of one parameter with the first ones of the others; none where it needs what is not
    here."""
    module, _, function = name.partition(".")
    tries: dict[str, list[Any]] = {}
    for one in list(inspect.signature(noun).parameters.values())[1:]:
        key = next((key for key in (f"{function}.{one.name}", f"{module}.{one.name}", one.name) if key in given), "")
        if key:
            tries[one.name] = given[key] if isinstance(given[key], list) else [given[key]]
        elif one.default is inspect.Parameter.empty:
            return
    first = {key: values[0] for key, values in tries.items()}
    yield first
    yield from ({**first, key: value} for key, values in tries.items() for value in values[1:])


def told(world: World, who: str, rights: Collection[str], only: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """The nouns of these rights whose answer to somebody names a customer, and those that gave no answer at all."""
    handle, naming, silent = world.ws.seen_by(Person(who)), set(), []
    for name, noun in nouns().items():
        if declared()[name] in rights and name not in ACTS and (not only or name in only):
            answers = []
            for given in calls({**world.given, "who": who}, name, noun):
                with suppress(StudioError, KeyError, AssertionError, ValueError, TypeError):  # of a run of another kind, say
                    answers.append(repr(noun(handle, **given)).lower())
            naming |= {name} if any("karenina" in answer for answer in answers) else set()
            silent += [] if answers else [name]
    return sorted(naming), silent


def test_nothing_that_a_viewer_or_a_reviewer_may_look_at_names_a_customer(ws: Workspace) -> None:
    world = lived(ws)
    assert told(world, OWNER, ("read",), NAMING) == (sorted(NAMING), [])
    assert told(world, VIEWER, ("open", "read")) == ([], WITHOUT)
    assert told(world, REVIEWER, ("review",)) == ([], [])
