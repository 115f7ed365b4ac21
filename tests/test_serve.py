"""A tuned model behind OpenAI's chat API: its answers, its codes, who may ask, how it ends, and that it blocks nobody."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir, specs
from pipeline.deploy import serve, tools
from pipeline.errors import PipelineError
from pipeline.generation.answer import Ask
from pipeline.rundir import Child
from pipeline.spec_deploy import ServeSpec
from pipeline.specs import Candidate, Decoding
from tests import chat_server, children, tiny
from tests.children import wait_until

pytestmark = pytest.mark.heavy

QUESTION = [{"role": "user", "content": "Where is my tent?"}]
TOKEN = "let-me-in"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def model(home: Path) -> Candidate:
    return tiny.made(home)


@pytest.fixture(scope="module")
def server(home: Path, model: Candidate) -> Iterator[tuple[Path, str]]:
    """A server's run folder and address, until the end of the module."""
    folder = tiny.server(home, model, "server", sleeps_after=0.5, patience=2)
    tiny.up(folder, home)
    spec = specs.read(folder)
    assert isinstance(spec, ServeSpec)
    asked = {"model": "tiny", "messages": QUESTION, "max_tokens": 1}
    wait_until(lambda: call(serve.address(spec), "/v1/chat/completions", asked)[0] == 200, folder)  # its first loads torch
    yield folder, serve.address(spec)
    rundir.ask_to_stop(folder)
    wait_until(lambda: not rundir.is_alive(folder), folder)


def call(address: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a plain HTTP call."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address.removesuffix("/v1") + path, data, {"Content-Type": "application/json"} | names)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def client(address: str, key: str = "none") -> Any:
    import openai

    return openai.OpenAI(base_url=address, api_key=key, max_retries=0)


def test_answers_over_http_are_those_of_the_evaluation(home: Path, model: Candidate, server: tuple[Path, str]) -> None:
    from pipeline.examples import Example
    from pipeline.generation import local

    here = local.load(model, home, print)
    turns = (*QUESTION, {"role": "assistant", "content": ""})
    wanted = next(iter(here.answers([Ask(Example("x", turns))], Decoding(max_new_tokens=12))))
    found = client(server[1]).chat.completions.create(model="tiny", messages=QUESTION, max_tokens=12)
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == (wanted.text, wanted.finish)
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (wanted.prompt_tokens, wanted.new_tokens)


def test_a_streamed_answer_is_the_same_with_its_usage_at_the_end(server: tuple[Path, str]) -> None:
    whole = client(server[1]).chat.completions.create(model="tiny", messages=QUESTION, max_tokens=12)
    stream = client(server[1]).chat.completions.create(model="tiny", messages=QUESTION, max_tokens=12, stream=True,
                                                       stream_options={"include_usage": True})  # fmt: skip
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (text, chunks[-1].usage) == (whole.choices[0].message.content, whole.usage)


def test_log_probabilities_come_with_the_likeliest_tokens(server: tuple[Path, str]) -> None:
    found = client(server[1]).chat.completions.create(model="tiny", messages=QUESTION, max_tokens=3, logprobs=True,
                                                      top_logprobs=2)  # fmt: skip
    told = found.choices[0].logprobs.content
    assert [len(one.top_logprobs) for one in told] == [2] * len(told) and 1 <= len(told) <= 3
    assert all(one.logprob == one.top_logprobs[0].logprob < 0 for one in told)


def test_the_server_keeps_to_openais_published_contract(server: tuple[Path, str], tmp_path: Path) -> None:
    log = tmp_path / "prism.log"
    with chat_server.checked(server[1], log) as address:
        client(address).chat.completions.create(model="tiny", messages=QUESTION, max_tokens=4, logprobs=True, top_logprobs=1)
    assert not [line for line in log.read_text("utf-8", "replace").splitlines() if "Violation" in line]


def test_tokens_are_told_in_vllms_form_and_the_model_is_listed(server: tuple[Path, str]) -> None:
    status, told = call(server[1], "/tokenize", {"model": "tiny", "messages": QUESTION})
    listed = call(server[1], "/v1/models")[1]["data"]
    assert (status, told["count"], [one["id"] for one in listed]) == (200, len(told["tokens"]), ["tiny"])
    assert call(server[1], "/health") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        ("/v1/chat/completions", b"{", {}, 400, "invalid_json"),
        ("/v1/chat/completions", b" " * (1 << 20) + b"{}", {}, 413, "request_too_large"),
        ("/v1/chat/completions", {"model": "x"}, {}, 404, "model_not_found"),
        ("/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "far " * 2000}]}, {}, 400,
         "context_length_exceeded"),
        ("/v1/chat/completions", {}, {"Content_Type": "text/plain"}, 415, "unsupported_media_type"),
        ("/v1/chat/completions", None, {}, 405, "method_not_allowed"),
        ("/v1/nothing", None, {}, 404, "not_found"),
        ("/v1/models", None, {"Host": "attacker.example"}, 421, "wrong_host"),
    ],
)  # fmt: skip
def test_what_is_wrong_gets_a_clear_code(
    server: tuple[Path, str], path: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    found = call(server[1], path, body, **headers)
    assert (found[0], found[1]["error"]["code"]) == (status, code)


def test_it_is_bound_to_this_machine_alone(server: tuple[Path, str]) -> None:
    port = int(server[1].rsplit(":", 1)[1].split("/")[0])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]  # 127.0.0.1, as the kernel writes it
    assert ServeSpec.model_fields["host"].default == "127.0.0.1"


def test_whoever_waits_for_the_device_gets_it_and_a_question_meanwhile_is_sent_away(
    home: Path, server: tuple[Path, str]
) -> None:
    client(server[1]).chat.completions.create(model="tiny", messages=QUESTION, max_tokens=2)
    with (home / "runs" / "device.lock").open("a") as lock:
        deadline = time.monotonic() + 10
        while True:  # given back half a second after the last question
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        status, told = call(server[1], "/v1/chat/completions", {"model": "tiny", "messages": QUESTION})
    assert (status, told["error"]["code"]) == (503, "device_busy")
    assert client(server[1]).chat.completions.create(model="tiny", messages=QUESTION, max_tokens=2).choices


def test_nothing_that_was_asked_stands_in_a_file_of_the_run(server: tuple[Path, str]) -> None:
    client(server[1]).chat.completions.create(model="tiny", messages=[{"role": "user", "content": "SECRET-77"}], max_tokens=2)
    call(server[1], "/v1/chat/completions?token=SECRET-77", b"SECRET-77")
    assert not [path for path in server[0].iterdir() if path.is_file() and "SECRET-77" in path.read_text("utf-8", "replace")]


def test_a_token_that_is_asked_for_is_needed_and_never_written_down(
    home: Path, model: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_SERVE_TOKEN", TOKEN)
    folder = tiny.server(home, model, "keyed", key_env="TUNEWRIGHT_SERVE_TOKEN")
    tiny.up(folder, home)
    spec = specs.read(folder)
    assert isinstance(spec, ServeSpec)
    address = serve.address(spec)
    asked = [call(address, "/v1/models")[0], call(address, "/v1/models", Authorization="Bearer no")[0],
             call(address, "/v1/models", Authorization=f"Bearer {TOKEN}")[0], call(address, "/health")[0]]  # fmt: skip
    rundir.ask_to_stop(folder)
    wait_until(lambda: not rundir.is_alive(folder), folder)
    ended = rundir.result(folder)
    assert (asked, ended and ended.outcome) == ([401, 401, 200, 200], "stopped")
    assert not [path for path in folder.iterdir() if path.is_file() and TOKEN in path.read_text("utf-8", "replace")]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", spec.port)) != 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"host": "0.0.0.0"}, "others can reach the server, so it needs a token"),
        ({"host": "0.0.0.0", "key_env": "TUNEWRIGHT_NOT_SET"}, "TUNEWRIGHT_NOT_SET is not set"),
        ({"merged": "exports/gone/merged"}, "is gone"),
        ({"engine": "vllm", "merged": "exports/x/merged"}, "vLLM is not installed"),
    ],
)
def test_what_cannot_be_served_is_said_in_words(home: Path, model: Candidate, more: dict[str, Any], said: str) -> None:
    folder = tiny.server(home, model, f"wrong-{abs(hash(said)) % 9999}", **more)
    spec = specs.read(folder)
    assert isinstance(spec, ServeSpec)
    with Child(folder) as child, pytest.raises(PipelineError, match=said):
        serve.run(child, spec, home)


def test_a_port_that_is_taken_is_said_in_words(home: Path, model: Candidate) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        folder = tiny.server(home, model, "taken", port=taken.getsockname()[1])
        spec = specs.read(folder)
        assert isinstance(spec, ServeSpec)
        with Child(folder) as child, pytest.raises(PipelineError, match="Nothing can listen at"):
            serve.run(child, spec, home)


VLLM = f"""#!{sys.executable}
import http.server, json, os, pathlib, sys
pathlib.Path(os.environ["TOLD"]).write_text(json.dumps({{"argv": sys.argv[1:], "env": dict(os.environ), "pid": os.getpid()}}))
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answers).serve_forever()
"""


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in vLLM's place that tells how it was called; where it tells it."""
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(VLLM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TOLD", str(tmp_path / "told.json"))
    return tmp_path / "told.json"


def _serve_with_vllm(home: Path, model: Candidate, run_id: str) -> tuple[Path, Any]:
    merged = home / "exports" / run_id / "merged"
    merged.mkdir(parents=True)
    (merged / "config.json").write_text('{"dtype": "bfloat16"}')
    more = {"engine": "vllm", "merged": f"exports/{run_id}/merged", "key_env": "TUNEWRIGHT_SERVE_TOKEN"}
    folder = tiny.server(home, model, run_id, **more)
    return folder, children.begin_to_kill(folder, home)


def test_vllm_is_called_with_the_folder_and_gets_the_token_by_its_environment_alone(
    home: Path, model: Candidate, vllm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_SERVE_TOKEN", TOKEN)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    folder, child = _serve_with_vllm(home, model, "vllm")
    wait_until(lambda: (said := rundir.status(folder)) is not None and said.phase == "serving", folder)
    told = json.loads(vllm.read_text())
    rundir.ask_to_stop(folder)
    child.wait(timeout=30)
    assert told["argv"][:2] == ["serve", str(home / "exports" / "vllm" / "merged")] and TOKEN not in told["argv"]
    assert told["argv"][2:] == tools.vllm_arguments("", "tiny", "127.0.0.1", _port(folder), "bfloat16", 0.5)[2:]
    assert (told["env"]["VLLM_API_KEY"], told["env"]["HF_HUB_OFFLINE"], "HF_TOKEN" in told["env"]) == (TOKEN, "1", False)
    ended = rundir.result(folder)
    assert ended and ended.outcome == "stopped" and not Path(f"/proc/{told['pid']}").exists()


def test_a_killed_run_takes_vllm_with_it(home: Path, model: Candidate, vllm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_SERVE_TOKEN", TOKEN)
    folder, child = _serve_with_vllm(home, model, "orphan")
    wait_until(lambda: (said := rundir.status(folder)) is not None and said.phase == "serving", folder)
    child.send_signal(signal.SIGKILL)
    child.wait()
    told = json.loads(vllm.read_text())
    wait_until(lambda: not _is_running(told["pid"]), folder)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def _port(folder: Path) -> int:
    spec = specs.read(folder)
    assert isinstance(spec, ServeSpec)
    return spec.port
