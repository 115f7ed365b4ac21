"""Tuned models on their way out: exports, servers, and the proof that what is served is what was evaluated.

A model is called deployed while it is served and its newest parity test passed.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.deploy import tools
from pipeline.spec_deploy import ExportSpec, ParitySpec, PushSpec, ServeSpec
from studio import candidates, model_cards, models, parity_words, runs, snapshots
from studio.candidates import Chosen
from studio.errors import StudioError
from studio.models import Model
from studio.permissions import needs
from studio.runs import Run
from studio.snapshots import Snapshot
from studio.workspace import Row, Workspace

Word = Literal["not exported", "exported", "starting", "served, not proven", "not the same model", "deployed"]
PROMPTS, TOKENS = 50, 64
FIRST_PORT = 8001
CARD = "card.md"
LLAMA_CPP, HERE = tools.LLAMA_CPP, "127.0.0.1"
NO_TOKEN = "There is no Hugging Face token: HF_TOKEN is not set where the studio was started."
GGUF_HINT = (f"Clone it (git clone https://github.com/ggml-org/llama.cpp), set {tools.LLAMA_CPP} to its folder where the "
             "studio is started, and start the studio again.")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Export:
    """What one export run made. `folder` is relative to the workspace; `sizes` are bytes by form (adapter, merged, gguf)."""

    run: Run
    folder: str
    sizes: dict[str, int]
    precision: str
    onto: str
    distance: float | None

    @property
    def merged(self) -> str:
        """The merged folder, empty where there is none."""
        return f"{self.folder}/merged" if "merged" in self.sizes else ""


@dataclass(frozen=True)
class Standing:
    """How far a model is out of the door, in a word and a sentence."""

    word: Word
    sentence: str


@needs("read")
def exports(ws: Workspace, model: Model) -> list[Export]:
    """What is there of this model, newest first; a folder that somebody deleted is left out."""
    found = []
    for run in _of(ws, model, "export"):
        data = run.result.data if run.state == "done" and run.result else None
        if data and ws.path(data["folder"]).is_dir():
            sizes = {form: int(one["bytes"]) for form, one in data["forms"].items()}
            found.append(Export(run, data["folder"], sizes, data["precision"], data["onto"], data["distance"]))
    return found


@needs("read")
def newest_export(ws: Workspace, model: Model) -> Run | None:
    """The newest export run, however it stands."""
    return next(iter(_of(ws, model, "export")), None)


def learned_on_4_bits(model: Model) -> bool:
    """Whether its base was held in 4 bits while it learned: then merging is a choice between two sets of values."""
    return (model.facts.get("method") or "qlora") == "qlora"


def suited_precision(model: Model) -> str:
    """What to merge in. An adapter that learned on 16 bits changes weights by less than bfloat16 can tell: added to values that
    are bfloat16 already, much of it is rounded away (benchmarks/RESULTS.md); float16 keeps it."""
    return "bfloat16" if learned_on_4_bits(model) else "float16"


@needs("export")
def export(ws: Workspace, model: Model, forms: Sequence[str], precision: str = "", onto: str = "trained") -> str:
    """Make folders that others can use; returns the run's id. `precision` empty: what suits the model. Raises StudioError where
    nothing can be made."""
    if not forms:
        raise StudioError("Nothing is chosen to be exported.", "Choose at least one form.")
    if "gguf" in forms and not has_converter():
        raise StudioError("llama.cpp's converter is not installed.", GGUF_HINT)
    spec = ExportSpec(run_id=ws.new_id(), tuned=_candidate(ws, model), forms=tuple(forms),  # type: ignore[arg-type]
                      precision=precision or suited_precision(model), onto=onto)  # type: ignore[arg-type]
    card = model_cards.markdown(ws, model)
    return runs.begin(ws, spec, f"Export of {model.name}", write=lambda folder: _write(folder / CARD, card))


@needs("export")
def push(ws: Workspace, exported: Export, form: str, repository: str, private: bool = True) -> str:
    """Put one exported folder on the Hugging Face Hub as `owner/name`; returns the run's id. Raises StudioError in words."""
    repository = repository.strip()
    if not _REPOSITORY.fullmatch(repository):
        raise StudioError(f"{repository!r} is not the name of a model.", "It has the form owner/name.")
    if not token_is_set():
        raise StudioError(NO_TOKEN, "Set it and start the studio again; it is read from there and stored nowhere.")
    spec = PushSpec(run_id=ws.new_id(), folder=f"{exported.folder}/{form}", repository=repository, private=private)
    return runs.begin(ws, spec, f"Push to {repository}")


@needs("read")
def pushes(ws: Workspace, exported: Export) -> list[Run]:
    """Newest first."""
    return [run for run in runs.every(ws, "push") if str(run.spec["folder"]).startswith(f"{exported.folder}/")]


@needs("run")
def serve(ws: Workspace, model: Model, exported: Export | None = None, engine: str = "tunewright", host: str = HERE,
          port: int | None = None, key_env: str = "", memory_share: float = 0.5) -> str:
    """Serve a model: as it was evaluated, or an export's merged folder; returns the run's id. It is registered as an endpoint.

    Raises StudioError where others could reach it without a token, and where something moves there already.
    """
    if exported is not None and not exported.merged:
        raise StudioError("Only a merged model can be served from an export.", "Export the merged model, or serve the adapter.")
    if engine == "vllm" and (exported is None or not has_vllm()):
        raise StudioError("vLLM needs a merged model, and to be installed where the studio runs.",
                          "Serve with Tunewright's own server, or export the merged model first.")
    host, key_env = host.strip() or HERE, models.key_variable(key_env)
    if key_env == "OPENAI_API_KEY":
        raise StudioError("OpenAI's key must not become the token of another server.",
                          "Name a variable that begins with TUNEWRIGHT_.")
    if host not in tools.OWN_MACHINE and not os.environ.get(key_env, "").strip():
        raise StudioError(f"At {host} others can reach the server, so it needs a token.",
                          "Set one in an environment variable that begins with TUNEWRIGHT_, name it here, and start the "
                          "studio again; or serve on 127.0.0.1.")
    taken = {run.spec["port"] for run in runs.every(ws, "serve") if run.moving}
    if port in taken:
        raise StudioError(f"Something is served at port {port} already.", "Stop it first, or choose another port.")
    port = port or _port(ws, model, taken)
    spec = ServeSpec(run_id=ws.new_id(), name=served_name(model), tuned=_candidate(ws, model), host=host, port=port,
                     merged=exported.merged if exported else "", engine=engine, key_env=key_env,  # type: ignore[arg-type]
                     memory_share=memory_share)
    models.add_endpoint(ws, f"{model.name}, served", address(spec.model_dump()), spec.name, key_env)
    return runs.begin(ws, spec, f"{model.name} served")


@needs("read")
def servers(ws: Workspace, model: Model) -> list[Run]:
    """Newest first."""
    return _of(ws, model, "serve")


def answers_now(run: Run) -> bool:
    """Whether a server is up and takes questions."""
    said = run.status  # one of an earlier attempt says nothing of this one
    return run.state == "running" and said is not None and said.phase == "serving" and said.at >= run.launched_at


def address(spec: Row) -> str:
    """Where a server is reached from this machine."""
    host = HERE if spec["host"] in ("0.0.0.0", "::") else spec["host"]
    return f"http://{f'[{host}]' if ':' in host else host}:{spec['port']}/v1"


@needs("read")
def endpoint(ws: Workspace, run: Run) -> Model | None:
    """The model by which Playground, Evaluate and Monitor know this server."""
    return next((one for one in models.endpoints(ws) if one.base["base_url"] == address(run.spec)
                 and one.base["model"] == run.spec["name"]), None)


@needs("read")
def adapter_of(ws: Workspace, served: Model) -> Model | None:
    """The model that was tuned here and that an endpoint of this studio serves; None for any other endpoint."""
    run = next((one for one in runs.every(ws, "serve") if address(one.spec) == served.base["base_url"]
                and one.spec["name"] == served.base["model"]), None)
    known = {one.model_id: one for one in models.adapters(ws)}
    return known.get(run.spec["tuned"]["model_id"]) if run else None


@needs("run")
def parity(ws: Workspace, model: Model, snapshot: Snapshot, exported: Export | None = None, server: Run | None = None,
           prompts: int = PROMPTS, tokens: int = TOKENS) -> str:
    """Put stored prompts to adapter, merged model and server, and compare; returns the run's id."""
    if server is not None and exported is None and server.spec["merged"]:
        exported = next((one for one in exports(ws, model) if one.merged == server.spec["merged"]), None)
    if server is not None and not answers_now(server):
        raise StudioError("The server does not answer yet.", "Wait until it is up, then test it.")
    if server is None and (exported is None or not exported.merged):
        raise StudioError("There is nothing to compare the adapter with.", "Export the merged model, or serve it.")
    snapshots.verify(ws, snapshot)
    served = {"base_url": address(server.spec), "model": server.spec["name"], "key_env": server.spec["key_env"],
              "concurrency": 1} if server else None
    spec = ParitySpec(
        run_id=ws.new_id(), tuned=_candidate(ws, model), items_file=snapshot.file("test"), prompts=prompts,
        max_new_tokens=tokens, export_id=exported.run.run_id if exported else "", merged=exported.merged if exported else "",
        serve_id=server.run_id if server else "", served=served,  # type: ignore[arg-type]
        served_precision=exported.precision if exported and server and server.spec["merged"] else "")  # type: ignore[arg-type]
    return runs.begin(ws, spec, f"Is {model.name} the same model?", snapshot.snapshot_id)


@needs("read")
def parities(ws: Workspace, model: Model) -> list[Run]:
    """Newest first."""
    return _of(ws, model, "parity")


@needs("read")
def proof(ws: Workspace, server: Run) -> Run | None:
    """The newest parity test of a server that is done."""
    done = (run for run in runs.every(ws, "parity") if run.state == "done")
    return next((run for run in done if run.spec["serve_id"] == server.run_id), None)


def passed(run: Run | None) -> bool:
    """Whether a server was found to be the same model. (A merged folder tested beside it may differ: it is not served.)"""
    legs = run.result.data.get("legs", []) if run is not None and run.result else []
    return any(leg["name"] == "served" and not leg["mismatches"] for leg in legs)


@needs("read")
def standing(ws: Workspace, model: Model) -> Standing:
    """How far this model is out of the door."""
    moving = [run for run in servers(ws, model) if run.moving]
    up = [run for run in moving if answers_now(run)]
    proofs = [(run, proof(ws, run)) for run in up]
    for run, found in proofs:
        if passed(found):
            return Standing("deployed", f"It answers at {address(run.spec)}, and gives the answers that were evaluated.")
    for _, found in proofs:
        if found is not None and found.result:
            said = parity_words.headline(found.result.data)
            return Standing("not the same model", f"It is served, but not called deployed. {said}.")
    if up:
        return Standing("served, not proven", f"It answers at {address(up[0].spec)}. Whether it gives the answers that were "
                        "evaluated was not tested yet.")
    if moving:
        return Standing("starting", f"Its server starts at {address(moving[0].spec)}. Nothing answers there yet.")
    if found_exports := exports(ws, model):
        return Standing("exported", f"Nothing answers for it now. {len(found_exports)} "
                        f"{'export is' if len(found_exports) == 1 else 'exports are'} there.")
    return Standing("not exported", "It lives in this studio only.")


@needs("read")
def live(ws: Workspace) -> list[Run]:
    """Servers of models that are deployed."""
    return [run for run in runs.every(ws, "serve") if run.moving and passed(proof(ws, run))]


@needs("raw")
def rows(ws: Workspace, run: Run) -> list[Row]:
    """Item by item what was said, and what was wrong; only those where something was."""
    return [row for row in runs.lines(ws, run, "parity.jsonl") if row["differences"]]


@needs("read")
def vllm_command(ws: Workspace, model: Model, exported: Export, port: int = 8000) -> str:
    """What to type to serve an export with vLLM, wherever the folder lies."""
    arguments = tools.vllm_arguments(str(ws.path(exported.merged)), served_name(model), HERE, port, exported.precision, 0.9)
    return shlex.join(["vllm", *arguments])


def has_vllm() -> bool:
    return tools.vllm() is not None


def has_converter() -> bool:
    return tools.converter() is not None


def token_is_set() -> bool:
    return bool(os.environ.get("HF_TOKEN", "").strip())


def served_name(model: Model) -> str:
    """The name that callers ask for: plain letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", model.name.lower()).strip("-")[:60] or "tuned"


def _of(ws: Workspace, model: Model, kind: Any) -> list[Run]:
    return [run for run in runs.every(ws, kind) if run.spec["tuned"]["model_id"] == model.model_id]


def _candidate(ws: Workspace, model: Model) -> Any:
    if model.kind != "adapter" or not model.adapter:
        raise StudioError(f"{model.name} was not tuned here.", "Choose a tuned model.")
    return candidates.spec(ws, Chosen(model), candidates.held([Chosen(model)], model.base))


def _port(ws: Workspace, model: Model, taken: set[int]) -> int:
    """The port that this model had before, so that its endpoint stays the same; else the first free one."""
    before = [int(run.spec["port"]) for run in servers(ws, model)]
    return next(port for port in (*before, *range(FIRST_PORT, 65_535)) if port not in taken and _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except OSError:
            return False
    return True


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
