"""A run of kind "serve": a tuned model behind OpenAI's chat API, until it is stopped.

Between questions it holds neither device nor memory for long: whoever waits for the device gets it, and the model is loaded
again with the next question.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import base_models
from pipeline.deploy import tools
from pipeline.errors import PipelineError, Stopped
from pipeline.generation.answer import Heard
from pipeline.playing_local import Desk
from pipeline.rundir import Child
from pipeline.spec_deploy import ServeSpec
from pipeline.specs import BaseSource, Candidate

if TYPE_CHECKING:
    from pipeline.generation.local import LocalModel
    from pipeline.playing import Reply

LOOK_SECONDS, PATIENCE_SECONDS = 0.2, 10.0
SERVING = "serving"
"""The phase of a server that answers."""


def run(child: Child, spec: ServeSpec, workspace: Path) -> dict[str, Any]:
    """Serve until asked to stop, which raises Stopped. Raises PipelineError where it cannot be served."""
    key = _key(spec)
    if spec.engine == "vllm":
        from pipeline.deploy import vllm

        return vllm.run(child, spec, workspace, key)
    candidate = _candidate(spec, workspace)
    with closing(_bound(spec)) as place:
        _serve(child, spec, workspace, candidate, key, place)
    raise Stopped("The server was stopped; nothing answers at its address now.")


def done_words(data: dict[str, Any]) -> str:
    return "The server has ended."


def address(spec: ServeSpec) -> str:
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    return f"http://{host}:{spec.port}/v1"


class Counter(Desk):
    """The desk of the playground, for callers: several at a time, and with how likely each token was where that is asked."""

    most_turns = 8

    def words(self, model: LocalModel, reply: Reply) -> Generator[Heard, None, None]:
        from pipeline.deploy.chances import Listener
        from pipeline.deploy.server import Call
        from pipeline.generation import aloud

        assert isinstance(reply, Call)
        if reply.wanted.top is None:
            yield from aloud.answer(model, reply.question, reply.wanted.decoding)
            return
        if not model.takes_memory:
            raise PipelineError("This model answers in its own way here, without log-probabilities.")
        listener = Listener(reply.wanted.top)
        for heard in aloud.answer(model, reply.question, reply.wanted.decoding, listener):
            if heard.finish:
                reply.chances = listener.told.get(0, [])[: len(heard.ids)]
            yield heard


def _serve(child: Child, spec: ServeSpec, workspace: Path, candidate: Candidate, key: str, place: socket.socket) -> None:
    import uvicorn

    from pipeline.deploy.server import Api

    assert candidate.base is not None
    child.say("loading", sentence=f"Loading {candidate.name}")
    folder = base_models.prepare(candidate.base, workspace, lambda said: child.say("loading", sentence=said))
    desk = Counter(child, spec, workspace)
    api = Api(child, candidate, spec.name, base_models.load_tokenizer(folder), _context(folder), key, spec.host,
              spec.patience, desk.queue.append, lambda: len(desk.queue))
    settings = uvicorn.Config(api.app(), log_level="warning", access_log=False, lifespan="off", server_header=False,
                              timeout_keep_alive=5, limit_concurrency=256, timeout_graceful_shutdown=2)
    server = uvicorn.Server(settings)
    listening = threading.Thread(target=server.run, args=([place],), name="http", daemon=True)
    desk.start()
    listening.start()
    try:
        while not child.stop_requested():
            if not listening.is_alive():
                raise PipelineError("The server ended by itself.", "The end of the log says why.")
            state = desk.said or ("Waits for a question" if desk.models else "Waits for a question, its memory given back")
            child.say(SERVING, api.answered, 0, "answers", f"Serving at {address(spec)} · {state}")
            time.sleep(LOOK_SECONDS)
    finally:
        server.should_exit = True
        desk.over.set()
        desk.join(PATIENCE_SECONDS)
        listening.join(PATIENCE_SECONDS)


def _candidate(spec: ServeSpec, workspace: Path) -> Candidate:
    """Who answers: the adapter as it was evaluated, or the merged folder as it is."""
    if not spec.merged:
        if spec.tuned.adapter and not (workspace / spec.tuned.adapter / "adapter_model.safetensors").is_file():
            raise PipelineError(f"The adapter of {spec.tuned.name} is gone.", "Put it back from a backup, or train again.")
        return spec.tuned
    return merged_candidate(spec.tuned, workspace / spec.merged)


def merged_candidate(tuned: Candidate, folder: Path) -> Candidate:
    """The merged folder as one that answers. Raises PipelineError where it is gone."""
    if not (folder / "config.json").is_file():
        raise PipelineError(f"The merged model {folder.parent.name}/{folder.name} is gone.", "Export it again.")
    source = BaseSource(kind="folder", ref=str(folder.resolve()), name=tuned.name)
    return Candidate(model_id=tuned.model_id, name=tuned.name, base=source, method="lora")


def _key(spec: ServeSpec) -> str:
    """The token that callers must send; empty where everybody on this machine may ask."""
    if spec.host not in tools.OWN_MACHINE and not spec.key_env:
        raise PipelineError(f"At {spec.host} others can reach the server, so it needs a token.",
                            "Name the environment variable that holds it, or serve on 127.0.0.1.")
    key = os.environ.get(spec.key_env, "").strip() if spec.key_env else ""
    if spec.key_env and not key:
        raise PipelineError(f"The environment variable {spec.key_env} is not set, so there is no token to ask for.",
                            "Set it where the studio is started, and start the studio again.")
    return key


def _bound(spec: ServeSpec) -> socket.socket:
    place = socket.socket(socket.AF_INET6 if ":" in spec.host else socket.AF_INET)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((spec.host, spec.port))
        place.listen(128)
    except OSError as error:
        place.close()
        raise PipelineError(f"Nothing can listen at {spec.host}:{spec.port} ({error.strerror}).",
                            "Stop what is there, or choose another port or address.") from None
    return place


def _context(folder: Path) -> int:
    from transformers import AutoConfig

    config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False).get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 1 << 30)
