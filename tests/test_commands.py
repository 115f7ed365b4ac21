"""Commands on real workspaces, group by group: what they do, what their documents say, and how they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from studio import labels, planning, records, reviews
from studio.planning import Recipe
from studio.records import Filter
from studio.workspace import Workspace
from tests.bad_files import write
from tests.checks import email, import_twelve, recorded_check, signature
from tests.commands import refused, run, told
from tests.inspections import recorded_inspection
from tests.logs import lines, rows
from tests.recorded_twins import chain
from tests.tickets import forty, freeze_forty, import_forty, recorded_training

RECIPE = ("--sizes", "20,6,12")


def ids(ws: Workspace, number: int) -> list[str]:
    return [record.record_id for record in records.page(ws, Filter(), number)]


def test_a_file_is_looked_at_and_imported_with_the_columns_that_were_said(ws: Workspace) -> None:
    forty(ws.root.parent / "forty.csv")
    seen = told(ws, "import", "forty.csv", "--look", "--column", "tags=")
    assert (seen["outlook"]["conversations"], seen["choices"]["columns"]["tags"], records.counts(ws).total) == (40, None, 0)
    done = told(ws, "import", "forty.csv", "--rating-min", "4")
    assert (done["import"]["rows_imported"], done["import"]["rows_filtered"]) == (16, 24)
    assert told(ws, "imports", "show", done["import"]["import_id"])["reasons"] == done["reasons"]


def test_choices_that_were_told_can_be_given_back(ws: Workspace) -> None:
    forty(ws.root.parent / "forty.csv")
    choices = told(ws, "import", "forty.csv", "--look")["choices"] | {"rating_min": 4}
    assert told(ws, "import", "forty.csv", "--choices", "-", stdin=json.dumps(choices))["import"]["rows_imported"] == 16


def test_records_are_found_decided_and_given_back_by_filter(ws: Workspace) -> None:
    import_forty(ws)
    assert told(ws, "records", "list", "--words", "torn", "--limit", "3")["matching"] == 10
    assert told(ws, "records", "drop", "--tag", "late") == {"decision": "drop", "changed": 10}
    assert told(ws, "records", "count")["counts"] == [{"value": "undecided", "records": 30}, {"value": "drop", "records": 10}]
    assert told(ws, "records", "undo")["undone"] is True
    assert records.counts(ws).drop == 0


def test_nothing_is_decided_about_everything_by_leaving_the_filter_out(ws: Workspace) -> None:
    import_forty(ws)
    assert [refused(ws, "records", act) for act in ("keep", "drop", "reset")] == ["Which records are meant?"] * 3
    assert refused(ws, "records", "keep", "nobody") == "There is no record nobody in this workspace."


def test_a_record_is_edited_marked_and_shown_with_its_history(ws: Workspace) -> None:
    import_forty(ws)
    one = ids(ws, 1)[0]
    turns = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "Here."}]
    assert told(ws, "records", "edit", one, stdin=json.dumps(turns))["record"]["version"] == 2
    told(ws, "records", "mark", one, "rating", "4", "--as", "bob")
    told(ws, "records", "tag", "good", one)
    shown = told(ws, "records", "show", one)
    assert [(act["who"], act["sentence"]) for act in shown["history"]][1:] == [
        ("ann", "edited it: wording 2"), ("bob", "rated it: 4"), ("ann", "tagged it: good")]  # fmt: skip
    assert told(ws, "records", "list", "--marked", "good")["matching"] == 1


def test_findings_are_read_fixed_dropped_and_dismissed(ws: Workspace) -> None:
    some = import_twelve(ws)
    recorded_check(ws, [email(ws, some[0]), email(ws, some[1]), signature(ws, some[2])])
    assert told(ws, "findings", "gate", status=1)["open_records"] == 2
    assert [one["found"] for one in told(ws, "findings", "show", "email")["findings"]] == [
        "ana0@mail.example",
        "ana1@mail.example",
    ]
    told(ws, "findings", "dismiss", "email", some[1])
    assert told(ws, "findings", "fix", "email") == {"changed": 1, "left": 0}
    assert "[EMAIL_1]" in records.get(ws, some[0]).question
    assert told(ws, "findings", "drop", "signature")["changed"] == 1
    assert refused(ws, "findings", "show", "mails") == "There is no kind of finding called 'mails'."
    assert told(ws, "findings", "undo")["sentence"].startswith("Undone: drop")


def test_twins_are_shown_and_accepted_by_a_rule(ws: Workspace) -> None:
    some = chain(ws)
    group = told(ws, "twins", "groups")["groups"][0]
    assert len(told(ws, "twins", "show", group["group_id"])["records"]) == 3
    assert (told(ws, "twins", "accept", "--look")["falls"], records.counts(ws).drop) == (2, 0)
    assert told(ws, "twins", "accept", group["group_id"])["dropped"] == 2
    assert records.get(ws, some[1]).decision == "undecided"
    told(ws, "twins", "undo")
    told(ws, "twins", "dismiss", group["group_id"])
    assert told(ws, "twins", "groups", "--state", "dismissed")["tally"]["dismissed"] == 1
    assert refused(ws, "twins", "groups", "--side", "answer").startswith("Nobody compared this side")


def test_labels_come_in_from_elsewhere_and_go_out_again(ws: Workspace) -> None:
    import_forty(ws)
    some = ids(ws, 3)
    told(ws, "labels", "save", "Intent")
    given = "".join(json.dumps({"record_id": one, "answer": {"intent": "late"}}) + "\n" for one in some)
    assert told(ws, "labels", "import", "Intent", stdin=given) == {"labelled": 3}
    assert told(ws, "labels", "answer-all", "Intent", "intent=torn", "--words", "torn", "--as", "bob") == {"labelled": 10}
    assert told(ws, "labels", "progress", "Intent")["answers"] == 13
    out = told(ws, "labels", "export", "Intent", "--out", "labels.jsonl")
    assert len(Path(out["file"]).read_text().splitlines()) == 13
    assert told(ws, "labels", "disagreements", "Intent")["open"] == 1
    told(ws, "labels", "settle", "Intent", some[1], "intent=torn")
    assert [one["answer"] for one in told(ws, "labels", "settled", "Intent")["settled"]] == [{"intent": "torn"}]
    assert told(ws, "labels", "undo", "Intent")["undone"] and labels.total(ws) > 0


def test_a_label_of_another_set_or_a_broken_line_stores_nothing(ws: Workspace) -> None:
    import_forty(ws)
    told(ws, "labels", "save", "Sentiment")
    line = json.dumps({"record_id": ids(ws, 1)[0], "answer": {"sentiment": "happy"}})
    assert refused(ws, "labels", "import", "Sentiment", stdin=f"{line}\n{{").startswith("Line 2 is not JSON")
    assert refused(ws, "labels", "answer", "Sentiment", ids(ws, 1)[0], "mood=happy") == "Sentiment asks nothing called 'mood'."
    assert labels.total(ws) == 0


def test_a_snapshot_is_frozen_once_leaks_and_privacy_are_settled(ws: Workspace) -> None:
    import_forty(ws)
    planned = told(ws, "plan", "show", *RECIPE)
    assert (planned["train"], planned["validation"], planned["test"], planned["leaks"]["checked"]) == (20, 6, 12, False)
    assert refused(ws, "freeze", "One", *RECIPE).startswith("Personal data is not settled.")
    recorded_inspection(ws, _recipe(ws), leaking=2)
    assert refused(ws, "freeze", "One", *RECIPE, "--accept-open") == "2 lines of validation and test resemble train."
    made = told(ws, "freeze", "One", *RECIPE, "--accept-open", "--leaks", "quarantine")["snapshot"]
    assert (made["name"], made["test"]) == ("One", 10)
    told(ws, "snapshots", "verify", "One")
    assert told(ws, "plan", "leaks", *RECIPE)["leaks"]["quarantined"] == 2


def _recipe(ws: Workspace) -> Recipe:
    return replace(planning.usual(ws), sizes=(20, 6, 12))


def test_snapshots_are_written_compared_and_adopted(ws: Workspace, tmp_path: Path) -> None:
    snapshot = freeze_forty(ws)
    told(ws, "freeze", "Two", "--sizes", "22,5,11", "--unchecked", "--accept-open")
    assert told(ws, "snapshots", "compare", "Forty", "Two", "--kind", "moved")["counts"]["moved"] > 0
    for form, lines_ in (("chat", 12), ("csv", 13)):
        file = told(ws, "snapshots", "export", "Forty", "--split", "test", "--format", form)["file"]
        assert len(Path(file).read_text().splitlines()) == lines_
    other = Workspace(tmp_path / "other")
    assert told(other, "snapshots", "adopt", str(ws.path(snapshot.folder)))["snapshot"]["snapshot_id"] == snapshot.snapshot_id
    other.close()


def test_dials_are_kept_under_a_name_and_runs_are_told(ws: Workspace) -> None:
    run_id = recorded_training(ws, freeze_forty(ws))
    assert told(ws, "presets", "save", "Quick", "--epochs", "1", "--preset", "Quick look")["dials"]["rank"] == 8
    assert "Quick" in [one["name"] for one in told(ws, "presets", "list")["presets"]]
    assert told(ws, "runs", "show", run_id)["run"]["state"] == "done"
    assert len(told(ws, "runs", "events", "latest")["losses"]) == 10
    assert refused(ws, "runs", "resume", run_id) == "This run is done: there is nothing to resume."
    assert told(ws, "models", "show", "latest")["model"]["model_id"] == run_id
    assert refused(ws, "serve") == "The adapter of Forty in style (tuned) is gone."
    assert refused(ws, "export", "--form", "zip") == "There is no 'zip' to choose."


def test_the_verdict_has_intervals_and_its_word_is_an_exit_status(three: Workspace) -> None:
    found = told(three, "verdict", "--require", "better")
    assert [(one["rival"], one["word"]) for one in found["verdicts"]] == [("starter", "better"), ("starter-prompted", "better")]
    assert found["verdicts"][0]["metrics"][0]["difference"]["low"] > 0
    line = next(line for line in run(three, "verdict").out.splitlines() if line.startswith("  ROUGE-L"))
    assert (line.count("["), line.split()[-1]) == (3, "better")
    told(three, "verdict", "--judged", "starter", "--require", "not-worse", status=1)


def test_an_evaluation_is_parted_read_and_reported(three: Workspace) -> None:
    slices = told(three, "evaluations", "slices")["slices"]
    tagged = told(three, "evaluations", "tag-slice", slices[0]["slice"])
    assert (tagged["changed"], tagged["tag"]) == (slices[0]["items"], slices[0]["tag"])
    answers = told(three, "evaluations", "answers", "--by", "tag", "--slice", slices[0]["slice"], "--limit", "2")
    assert (answers["counts"]["all"], len(answers["answers"])) == (slices[0]["items"], 2)
    assert told(three, "evaluations", "costs")["costs"][0]["answers"] == 60
    file = told(three, "report", "--format", "md", "--out", "report.md")["file"]
    assert "The tuned model is better" in Path(file).read_text()
    assert told(three, "evaluate", "--look", "--no-probes")["answers_wanted"] == 180


def test_a_review_is_blind_until_it_is_revealed(three: Workspace) -> None:
    session = told(three, "review", "start", "--pairs", "12", "--repeats", "0", "--overlap", "0")["session"]
    cards = told(three, "review", "cards")["cards"]
    assert (session["candidates"], "trained00001" in json.dumps(cards)) == (None, False)
    told(
        three,
        "review",
        "answer",
        session["session_id"],
        cards[0]["card_id"],
        "left",
        "--better",
        "Thank you, it is on its way.",
    )
    rest = "".join(json.dumps({"card_id": one["card_id"], "verdict": "tie"}) + "\n" for one in cards[1:])
    told(three, "review", "import", session["session_id"], stdin=rest)
    assert refused(three, "review", "result") == "This session is still blind."
    assert refused(three, "review", "reveal", "--as", "bob").startswith("Only ann, who opened this session, ends it.")
    assert told(three, "review", "reveal")["versus"][0]["count"]["tie"] >= len(cards) - 1
    written = told(three, "review", "corrections")["corrections"]
    assert told(three, "review", "take", session["session_id"], written[0]["card_id"], "example")["record_id"]
    assert told(three, "review", "export")["verdicts"] == len(cards) and reviews.total(three)


def test_logs_targets_and_alerts_go_from_rows_to_the_label_queue(ws: Workspace) -> None:
    lines(ws.root.parent / "log.jsonl", rows(400))
    assert told(ws, "logs", "read", "log.jsonl", "--look")["logs"][0]["roles"]["model"]
    assert [one["rows_added"] for one in told(ws, "logs", "read", "log.jsonl")["read"]] == [400]
    assert told(ws, "production", "show")["figures"]["thumbs"]["n"] > 0
    assert [one["state"] for one in told(ws, "targets", "set", "thumbs", "0.99")["targets"]] == ["missed"]
    opened = told(ws, "alerts", "list", status=1)["alerts"][0]
    told(ws, "alerts", "acknowledge", opened["alert_id"], "--note", "on it")
    worst = [one["row_id"] for one in told(ws, "production", "worst", "--limit", "3")["rows"]]
    assert told(ws, "logs", "queue", *worst)["new"] == 3
    assert told(ws, "logs", "take-out", told(ws, "logs", "list")["logs"][0]["source_id"])["rows"] == 400


def test_recipes_prompts_rubrics_and_own_scores_are_kept_under_names(ws: Workspace) -> None:
    told(ws, "synthesise", "keep", "Late", stdin=json.dumps({"scenarios": ["a late parcel"], "each": 4}))
    assert told(ws, "synthesise", "estimate", "Late")["examples"] == 4
    told(ws, "prompts", "save", "Kind", stdin="Be kind.")
    told(ws, "rubrics", "save", "Short", stdin="The shorter answer is better.")
    told(ws, "metrics", "save", "asks", stdin="def score(answer, reference, item):\n    return float(answer.endswith('?'))\n")
    assert "own:asks" in [one["key"] for one in told(ws, "metrics", "list")["metrics"]]
    told(ws, "prompts", "delete", "Kind")
    assert told(ws, "prompts", "list")["prompts"] == []


def test_endpoints_and_services_are_added_by_the_name_of_their_key(ws: Workspace) -> None:
    made = told(
        ws, "models", "add-endpoint", "Ours", "llama", "--url", "http://127.0.0.1:8000/v1", "--key-env", "TUNEWRIGHT_OURS"
    )
    assert told(ws, "models", "list", "--kind", "endpoint")["models"] == [made["model"]]
    assert refused(ws, "models", "add-endpoint", "Ours", "llama", "--key-env", "sk-12345").startswith("The key is read from")
    told(ws, "managed", "add-service", "Azure", "https://x.openai.azure.com/openai/v1", "--key-env", "AZURE_OPENAI_API_KEY")
    assert told(ws, "managed", "price", "gpt-x", "3")["price"]["per_million"] == 3


def test_forgetting_says_what_would_go_before_it_goes(ws: Workspace) -> None:
    import_twelve(ws)
    seen = told(ws, "forget", "ana3@mail.example")
    assert (len(seen["meant"]), seen["forgotten"], records.counts(ws).total) == (1, None, 12)
    assert told(ws, "forget", "ana3@mail.example", "--yes")["forgotten"]["records"] == 1
    assert (records.counts(ws).total, len(told(ws, "forgotten")["forgotten"])) == (11, 1)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("cut.csv", (), "ends inside a quoted cell"),
        ("utf16.csv", (), "too few"),
        ("five.csv", ("--message", "message", "--answer", "answer"), "too few"),
        ("five.csv", ("--message", "question", "--answer", "answer"), "no column 'question'"),
    ],
)
def test_a_wrong_file_ends_the_demo_with_one_sentence(
    ws: Workspace, tmp_path: Path, name: str, arguments: tuple[str, ...], words: str
) -> None:
    done = run(ws, "demo", "--csv", str(write(tmp_path, name)), *arguments)
    assert (done.status, words in done.err, "Traceback" in done.err) == (1, True, False)


@pytest.mark.heavy
def test_validating_prints_every_problem_and_fails_where_there_are_errors(ws: Workspace) -> None:
    (ws.root.parent / "bad.jsonl").write_text("broken\n" * 12)
    done = run(ws, "validate", "bad.jsonl")
    assert (done.status, done.out.count("The line is not JSON")) == (1, 12)


def test_what_is_typed_wrongly_is_one_document_too(ws: Workspace) -> None:
    ran = run(ws, "records", "lists", "--json")
    assert (ran.status, ran.document["error"]) == (2, "No such command 'lists'. Did you mean 'list'?")
    assert run(ws, "records", "list", "--limit", "many", "--json").status == 2


def test_a_document_has_no_number_that_json_lacks(ws: Workspace) -> None:
    import_forty(ws)
    told(ws, "labels", "save", "Intent")
    assert told(ws, "labels", "agreement", "Intent")["fields"][0]["alpha"] == {"value": None, "low": None, "high": None}
