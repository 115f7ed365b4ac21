"""Runs at a service that speaks OpenAI's fine-tuning API: aimock, with Prism before it or alone, holding every request against
OpenAI's published document."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir
from pipeline.errors import PipelineError, Stopped
from pipeline.managed import engine, files, quote
from pipeline.managed.errand import Errand
from pipeline.managed.openai_service import OpenAIService
from pipeline.managed.remote import Remote
from pipeline.managed.service import Job, Trouble
from pipeline.managed.watch import Watch
from pipeline.rundir import Child
from pipeline.spec_managed import QuoteSpec, Service, ServiceFilesSpec
from tests import chat_server, children, managed
from tests.managed import server, started
from tests.spoiling import Proxy, Spoil
from tests.test_managed_pieces import DOCS_BASE64, QUOTED

__all__ = ["server", "started"]
pytestmark = pytest.mark.heavy
KEY, JOB_ID = "sk-secret-of-the-tests", "/fine_tuning/jobs/[^/]+"


def asked(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [dict(row) for row in children.events(folder, kind)]


def test_no_request_breaks_openais_document(server: str, tmp_path: Path) -> None:
    """A quote, an upload, a job with all dials to its end, one that is cancelled, the files."""
    log = tmp_path / "prism.log"
    with chat_server.checked(server, log, chat_server.FINE_TUNING) as address:
        quoted(tmp_path, Service(base_url=address))
        first = managed.spec(address, validation_file="valid.jsonl", suffix="support", epochs=3, batch_size=4,
                             learning_rate_multiplier=0.1)  # fmt: skip
        managed.run(managed.prepared(tmp_path, first), tmp_path, first)
        second = managed.spec(address, "run-2", seed=None)
        folder = managed.prepared(tmp_path, second)
        managed.when(lambda: managed.has_job(folder), (folder / "cancel").touch)
        with contextlib.suppress(PipelineError):  # whichever comes first: aimock's jobs end at their third look
            managed.run(folder, tmp_path, second)
        listed(tmp_path, address, managed.get(server, "/files")[0]["id"], "file-gone")
    posts = [entry["path"] for entry in chat_server.asked(server) if entry["method"] in ("POST", "DELETE")]
    assert (chat_server.violations(log), len(posts)) == ([], 7), posts


def test_a_child_uploads_creates_and_watches_to_the_end(server: str, tmp_path: Path) -> None:
    wanted = managed.spec(server, validation_file="valid.jsonl", suffix="support", epochs=3, price=3.0)
    folder = managed.prepared(tmp_path, wanted)
    ended = children.finished(folder, tmp_path)
    job, data = managed.get(server, "/fine_tuning/jobs")[0], ended.data
    assert (ended.outcome, managed.made(server)) == ("done", (2, 1, 2, 1))
    # aimock bills seed mod 100,000 tokens: 12,345 tokens at 3.00 a million are 0.037035.
    assert (data["model"], data["trained_tokens"], data["cost"], data["money"]) == (
        job["fine_tuned_model"], 12_345, 0.037035, "USD")  # fmt: skip
    assert (job["training_file"], job["validation_file"]) == (data["files"]["train"]["id"], data["files"]["validation"]["id"])
    assert job["metadata"] == {"tunewright_run": "run-1"}
    assert job["method"]["supervised"]["hyperparameters"] == {
        "n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": "auto"}  # fmt: skip
    assert managed.notes(folder)[:4] == [
        "Job created, validating training file", "Training file validated, job queued", "Training started",
        f"Training complete, model {job['fine_tuned_model']}"]  # fmt: skip
    assert ended.message == f"{data['model']} was trained on 12,345 tokens, about 0.04 USD by the price given."


def test_the_key_goes_to_the_service_and_into_no_file(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNING_KEY", KEY)
    with Proxy(server) as proxy:
        wanted = managed.spec(server).model_copy(update={"service": Service(base_url=proxy.url, key_env="TUNING_KEY")})
        managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    texts = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert (KEY.encode() in texts, proxy.keys) == (False, {f"Bearer {KEY}"})


def test_metrics_and_a_result_file_in_base64_become_the_curves(server: str, tmp_path: Path) -> None:
    metrics = [event(f"e{step}", f"Step {step}/19: training loss={loss}", {"step": step, "train_loss": loss, "total_steps": 19})
               for step, loss in ((1, 1.6), (2, 0.6))]  # fmt: skip
    spoils = [Spoil("GET", "/events", times=1, status=200, body=page(metrics)),
              Spoil("GET", "/content", status=200, body=DOCS_BASE64)]  # fmt: skip
    with Proxy(server, *spoils) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        data = managed.run(folder, tmp_path, wanted)
    assert [(row["step"], row["loss"]) for row in asked(folder, "loss")] == [
        (1, 1.6), (2, 0.6), (3, 3.63525), (4, 1.72257), (5, 1.52379)]  # fmt: skip
    assert (data["steps"], data["last_train_loss"], data["best_validation_loss"]) == (5, 1.52379, None)


def test_validation_in_the_result_file_gives_first_and_best(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("GET", "/content", status=200, body=QUOTED)) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        data = managed.run(folder, tmp_path, wanted)
    assert [row["step"] for row in asked(folder, "validation")] == [1, 10, 19]
    assert (data["first_validation_loss"], data["best_validation_loss"], data["best_step"]) == (
        8.555203056335449, 5.265460586547851, 19)  # fmt: skip


def test_a_run_that_is_resumed_tells_nothing_twice(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("GET", "/content", times=2, status=200, body=QUOTED)) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        first = managed.run(folder, tmp_path, wanted)
        told = rundir.read_lines(folder / "events.jsonl")
        assert (managed.run(folder, tmp_path, wanted), rundir.read_lines(folder / "events.jsonl")) == (first, told)


def test_a_wish_to_cancel_reaches_the_job_and_is_answered_once(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("GET", JOB_ID, times=99, passed=False, status=200, body=job_body("running"))) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        managed.when(lambda: managed.has_job(folder), lambda: let_go(proxy, folder))
        with pytest.raises(PipelineError, match="was cancelled at"):
            managed.run(folder, tmp_path, wanted)
    acts = [(row["act"], row["asked"], row["outcome"]) for row in asked(folder, "act")]
    assert (managed.get(server, "/fine_tuning/jobs")[0]["status"], acts) == (
        "cancelled", [("cancel", (folder / "cancel").stat().st_mtime, "done")])  # fmt: skip
    with pytest.raises(PipelineError, match="was cancelled at"):  # a resumed run says so, and asks for nothing
        managed.run(folder, tmp_path, managed.spec(server))
    assert managed.made(server) == managed.ONCE and len(asked(folder, "act")) == 1


def test_a_run_cancelled_before_there_is_a_job_asks_for_none(server: str, tmp_path: Path) -> None:
    wanted = managed.spec(server)
    folder = managed.prepared(tmp_path, wanted)
    (folder / "cancel").touch()
    with pytest.raises(PipelineError, match="nothing is to be paid"):
        managed.run(folder, tmp_path, wanted)
    assert managed.made(server) == (0, 0, 0, 0)


def test_what_a_service_does_not_serve_is_answered_with_that(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("POST", "/pause", passed=False, status=405, body=b"{}")) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        (folder / "pause").touch()
        managed.run(folder, tmp_path, wanted)
    assert [(row["act"], row["outcome"], "/v1 cannot pause" in row["sentence"]) for row in asked(folder, "act")] == [
        ("pause", "refused", True)]  # fmt: skip


def test_a_wish_that_fails_for_now_is_asked_again_at_the_next_look_and_not_at_once(server: str, tmp_path: Path) -> None:
    looks = Spoil("GET", JOB_ID, times=3, passed=False, status=200, body=job_body("running"))
    with Proxy(server, looks, Spoil("POST", "/cancel", passed=False, status=503, times=2)) as proxy:
        wanted = managed.spec(proxy.url, poll_seconds=0.2)
        folder = managed.prepared(tmp_path, wanted)
        managed.when(lambda: managed.has_job(folder), (folder / "cancel").touch)
        with pytest.raises(PipelineError, match="was cancelled at"):
            managed.run(folder, tmp_path, wanted)
    at = proxy.asked("POST", "/cancel")
    assert len(at) == 3 and min(after - before for before, after in pairwise(at)) >= 0.2


def test_a_job_of_days_is_watched_to_its_end(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """6,000 looks are a day's; the first ones come after 2, 4 and 8 seconds."""
    wanted = managed.spec(server, poll_seconds=15)
    folder, looks, naps = managed.prepared(tmp_path, wanted), itertools.count(), list[float]()
    monkeypatch.setattr(Errand, "nap", lambda self, seconds, wake=None: naps.append(seconds))
    with Child(folder) as child:
        watch = Watch(Errand(child, wanted, OpenAIService(wanted.service), Remote(folder)))
        watch.look = lambda: Job("ftjob-1", "", "going" if next(looks) < 6_000 else "succeeded")  # type: ignore[method-assign]
        assert watch.to_the_end().state == "succeeded"
    assert naps[:5] == [2, 4, 8, 15, 15] and set(naps[3:]) == {15}


def test_an_hour_without_an_answer_is_waited_out_and_said(tmp_path: Path) -> None:
    clock = itertools.count(1_795_000_000, 70).__next__  # each look at it is 70 seconds later
    wanted = managed.spec("http://127.0.0.1:9/v1", poll_seconds=15)
    folder = managed.prepared(tmp_path, wanted)
    (folder / "remote.json").write_text('{"files": {}, "asked": {}, "job": {"id": "ftjob-1", "at": 0, "status": "running"}}')
    sentences, began, tries = list[str](), clock(), itertools.count()

    def answer() -> str:
        if next(tries) < 100:
            raise Trouble(None, "no connection")
        return "here"

    with Child(folder, clock) as child:
        child.say = lambda *_, sentence="": sentences.append(sentence)  # type: ignore[method-assign]
        errand = Errand(child, wanted, OpenAIService(wanted.service), Remote(folder))
        assert errand.patient(answer, "watching", "Watching the job") == "here" and clock() - began > 3_600
    assert sentences[-1].endswith(" minutes; asked again and again") and "(no connection) since" in sentences[-1]


def test_a_file_that_the_service_still_reads_is_waited_for(server: str, tmp_path: Path) -> None:
    first, second = managed.spec(server), managed.spec(server, "run-2")
    managed.run(managed.prepared(tmp_path, first), tmp_path, first)
    lying = managed.get(server, "/files")[0] | {"status": "pending"}  # as Azure says it
    with Proxy(server, Spoil("GET", "/files", status=200, body=page([lying]))) as proxy:
        wanted = second.model_copy(update={"service": Service(base_url=proxy.url)})
        managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    assert max(proxy.asked("GET", f"/files/{lying['id']}")) < min(proxy.asked("POST", "/fine_tuning/jobs"))
    assert managed.made(server) == (1, 2, 1, 2)


def test_azure_says_that_a_trained_model_must_be_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_KEY", "some-key")
    azure = Service(base_url="https://acme.openai.azure.com/openai/v1/", key_env="AZURE_KEY")
    data = {"model": "gpt-x", "trained_tokens": None, "cost": None, "money": "USD", "needs_deployment": True}
    services = OpenAIService(azure), OpenAIService(Service(base_url="https://api.example/v1"))
    assert [one.needs_deployment for one in services] == [True, False]
    assert engine.done_words(data) == "gpt-x was trained. It must be deployed at the service before it answers."


def test_a_job_is_paused_and_resumed_while_it_is_watched(server: str, tmp_path: Path) -> None:
    spoils = [Spoil("POST", f"/{act}", passed=False, status=200, body=job_body(status))
              for act, status in (("pause", "paused"), ("resume", "queued"))]  # fmt: skip
    paused = Spoil("GET", JOB_ID, times=99, passed=False, status=200, body=job_body("paused"))
    with Proxy(server, *spoils, paused) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        managed.when(lambda: managed.has_job(folder), (folder / "pause").touch)
        managed.when(lambda: bool(proxy.asked("POST", "/pause")), (folder / "resume").touch)
        managed.when(lambda: bool(proxy.asked("POST", "/resume")), lambda: setattr(paused, "times", 0))
        data = managed.run(folder, tmp_path, wanted)
    assert [(row["act"], row["outcome"]) for row in asked(folder, "act")] == [("pause", "done"), ("resume", "done")]
    assert (data["trained_tokens"], len(proxy.asked("POST", "/pause")), len(proxy.asked("POST", "/resume"))) == (12_345, 1, 1)


def test_a_job_that_the_service_forgot_is_said(server: str, tmp_path: Path) -> None:
    wanted = managed.spec(server)
    folder = managed.prepared(tmp_path, wanted)
    (folder / "remote.json").write_text('{"files": {}, "asked": {}, "job": {"id": "ftjob-1", "at": 0, "status": "running"}}')
    with pytest.raises(PipelineError, match=r"does not know the job ftjob-1 any more \(404\)"):
        managed.run(folder, tmp_path, wanted)
    assert managed.made(server) == (0, 0, 0, 0)


def test_a_stopped_run_leaves_the_job_alone_and_watches_on_when_resumed(server: str, tmp_path: Path) -> None:
    with Proxy(server, Spoil("GET", JOB_ID, times=99, status=200, body=job_body("running"))) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        managed.when(lambda: managed.has_job(folder), lambda: rundir.ask_to_stop(folder))
        with pytest.raises(Stopped, match="The job goes on at the service; resume to watch it again"):
            managed.run(folder, tmp_path, wanted)
    rundir.take_back_stop(folder)
    assert managed.run(folder, tmp_path, managed.spec(server))["model"] and managed.made(server) == managed.ONCE


def test_unknown_and_paused_statuses_are_shown_as_they_come(server: str, tmp_path: Path) -> None:
    spoils = [Spoil("GET", JOB_ID, status=200, body=job_body(status)) for status in ("polishing", "paused")]
    sentences: list[str] = []
    with Proxy(server, *spoils) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        with Child(folder) as child:
            child.say = lambda *given, sentence="": sentences.append(sentence or str(given[-1]))  # type: ignore[method-assign]
            engine.run(child, wanted, tmp_path)
    assert "The service says: polishing" in sentences
    assert "Paused at the service: nothing goes on, and nothing is lost, until the job is resumed here" in sentences


def test_no_answer_while_it_watches_is_said_and_waited_for(server: str, tmp_path: Path) -> None:
    spoils = [Spoil("GET", JOB_ID, status=status, body=b"oh") for status in (None, 500, 404, 429, 200)]
    with Proxy(server, *spoils) as proxy:
        wanted = managed.spec(proxy.url, poll_seconds=0.1)
        folder = managed.prepared(tmp_path, wanted)
        assert managed.run(folder, tmp_path, wanted)["trained_tokens"] == 12_345


def test_a_failed_job_speaks_in_the_services_words_and_a_resumed_run_makes_no_other(server: str, tmp_path: Path) -> None:
    body = job_body("failed", {"code": "invalid_training_file", "message": "Line 7 is no JSON", "param": "training_file"})
    with Proxy(server, Spoil("GET", JOB_ID, times=2, status=200, body=body)) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        for _ in range(2):
            with pytest.raises(PipelineError, match=r"failed at .*: Line 7 is no JSON"):
                managed.run(folder, tmp_path, wanted)
    assert managed.made(server) == managed.ONCE


def test_a_refused_create_is_said_at_once_and_leaves_no_wish_behind(server: str, tmp_path: Path) -> None:
    refusal = Spoil("POST", "/fine_tuning/jobs", passed=False, status=403, body=b'{"error": {"message": "No."}}')
    with Proxy(server, refusal) as proxy:
        wanted = managed.spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        with pytest.raises(PipelineError, match=r"may not fine-tune \(403\)"):
            managed.run(folder, tmp_path, wanted)
        assert managed.remote(folder)["asked"] == {} and managed.made(server) == (1, 0, 1, 0)
        managed.run(folder, tmp_path, wanted)
    assert managed.made(server) == managed.ONCE


def test_the_oddities_of_openais_own_samples_confuse_nothing(tmp_path: Path) -> None:
    """Status `paused`, `has_more` always true, a new job with an error object full of nulls; pause, resume, checkpoints."""
    log = tmp_path / "prism.log"
    with chat_server.sampled(chat_server.FINE_TUNING, log) as address:
        service = OpenAIService(Service(base_url=address))
        answers = service.pause("ftjob-abc123"), service.resume("ftjob-abc123")
        wanted = managed.spec(address, price=8.0)
        folder = managed.prepared(tmp_path, wanted)
        data = managed.run(folder, tmp_path, wanted)
    assert [(found.status, found.state, found.error) for found in answers] == [
        ("paused", "paused", ""),
        ("queued", "going", ""),
    ]
    assert (data["model"][-8:], data["trained_tokens"], data["cost"]) == ("7q8mpxmy", 5_768, 0.046144)
    assert [(one["step"], one["model"][-15:], one["valid_loss"]) for one in data["checkpoints"]] == [
        (1000, ":ckpt-step-1000", 0.167), (2000, ":ckpt-step-2000", 0.134)]  # fmt: skip
    assert (data["best_step"], data["steps"]) == (2000, 2000)
    assert managed.notes(folder)[:2] == [
        "New fine-tuned model created: ft:gpt-4o-mini:openai::7p4lURel", "Fine tuning job successfully completed"]  # fmt: skip
    assert chat_server.violations(log) == []


def quoted(workspace: Path, service: Service, model: str = "gpt-4o-mini", run_id: str = "quote-1") -> dict[str, Any]:
    wanted = QuoteSpec(run_id=run_id, service=service, model=model, train_file="train.jsonl", validation_file="valid.jsonl")
    with Child(managed.prepared(workspace, wanted)) as child:  # type: ignore[arg-type]
        data = quote.run(child, wanted, workspace)
    assert quote.done_words(data)
    return data


def test_a_quote_shows_the_very_bytes_and_changes_nothing_at_the_service(server: str, tmp_path: Path) -> None:
    data = quoted(tmp_path, Service(base_url=server), "gpt-4o")  # one of those that aimock lists
    content = (tmp_path / "runs" / "quote-1" / "train.jsonl").read_bytes()
    assert (data["train"]["bytes"], content.count(b"\n"), data["train"]["lines"]) == (len(content), 12, 12)
    assert f"tunewright-{data['train']['sha256'][:32]}.jsonl" == managed.TRAIN
    assert (data["problem_count"], data["epochs"], data["tokens_basis"], data["limit"]) == (0, 8, "o200k_base", 65_536)
    assert (data["account"]["state"], data["closing"], managed.made(server)) == ("ok", "", (0, 0, 0, 0))


def test_a_quote_says_when_the_base_model_is_shut_down(server: str, tmp_path: Path) -> None:
    models = [{"id": "gpt-x", "object": "model", "created": 1, "owned_by": "o", "shutdown_date": "2099-01-14"}]
    with Proxy(server, Spoil("GET", "/models", status=200, body=page(models))) as proxy:
        data = quoted(tmp_path, Service(base_url=proxy.url), "gpt-x")
    assert (data["shutdown_date"], data["closing"].split(",")[0], data["tokens_basis"]) == (
        "2099-01-14", "gpt-x is shut down on 2099-01-14", "estimated")  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "state"),
    [
        (Spoil("GET", "/models", status=401), "refused"),
        (Spoil("GET", "/fine_tuning/jobs", status=403), "may_not_tune"),
        (Spoil("GET", "/fine_tuning/jobs", status=404), "may_not_tune"),
        (Spoil("GET", "/fine_tuning/jobs", status=None), "unreachable"),
    ],
)
def test_a_refused_account_is_an_answer_and_no_failure(spoil: Spoil, state: str, server: str, tmp_path: Path) -> None:
    with Proxy(server, spoil) as proxy:
        data = quoted(tmp_path, Service(base_url=proxy.url))
    assert (data["account"]["state"], "spoiled" in data["account"]["words"]) == (state, False)


def test_a_quote_knows_a_missing_key_and_an_unknown_model(server: str, tmp_path: Path) -> None:
    none = quoted(tmp_path, Service(key_env="NO_SUCH_KEY_HERE"))
    unknown = quoted(tmp_path, Service(base_url=server), "gpt-none", "quote-2")
    assert (none["account"]["state"], unknown["account"]["state"]) == ("no_key", "model_unknown")
    assert none["account"]["words"].startswith("The environment variable NO_SUCH_KEY_HERE is not set")


def test_files_at_the_service_are_listed_and_deleted(server: str, tmp_path: Path) -> None:
    wanted = managed.spec(server)
    managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
    lying = managed.get(server, "/files")[0]["id"]
    before, after = listed(tmp_path, server), listed(tmp_path, server, lying, "file-gone-before")
    assert ([(one["id"], one["name"], one["ours"]) for one in before["files"]], after["files"]) == (
        [(lying, managed.TRAIN, True)],
        [],
    )
    assert (after["deleted"], after["kept"], managed.get(server, "/files")) == ([lying, "file-gone-before"], [], [])


def listed(workspace: Path, address: str, *delete: str) -> dict[str, Any]:
    ask = ServiceFilesSpec(run_id=f"files-{len(delete)}", service=Service(base_url=address), delete=delete)
    with Child(children.prepared(workspace, ask)) as child:
        return files.run(child, ask, workspace)


def event(name: str, sentence: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"object": "fine_tuning.job.event", "id": name, "created_at": 1_700_000_000 + data["step"], "level": "info",
            "message": sentence, "data": data, "type": "metrics"}  # fmt: skip


def page(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"object": "list", "data": rows, "has_more": False}).encode()


def job_body(status: str, error: dict[str, Any] | None = None) -> bytes:
    told = {"id": "ftjob-x", "object": "fine_tuning.job", "status": status, "error": error or {"code": None, "message": None}}
    return json.dumps(told | {"result_files": [], "created_at": 1_700_000_000, "trained_tokens": None}).encode()


def let_go(proxy: Proxy, folder: Path) -> None:
    """Somebody cancels, and the service's own answers come through again."""
    (folder / "cancel").touch()
    deadline = time.time() + 5
    while not proxy.asked("POST", "/cancel") and time.time() < deadline:
        time.sleep(0.02)
    for one in proxy.spoils:
        one.times = 0
