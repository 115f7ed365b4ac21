"""The one list of models: bases that can be tuned, adapters that were, and endpoints: servers that answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from studio.errors import StudioError
from studio.permissions import needs
from studio.workspace import Row, Transaction, Workspace

BaseKind = Literal["starter", "folder", "gguf", "hub"]
STARTER_ID = "starter"
STARTER_NAME = "SmolLM2-135M-Instruct (starter)"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_KEY_ENV = re.compile(r"(OPENAI|AZURE_OPENAI|NEBIUS|TOGETHER)_API_KEY|TUNEWRIGHT_[A-Z0-9_]{1,60}")
LONGEST_NAME = 80


@dataclass(frozen=True)
class Model:
    """`base` says where the base weights come from; `adapter` is a folder relative to the workspace, None for a base.

    Of an endpoint `base` is the server's address, its name for the model, the variable that holds the key, and prices
    (`pipeline.specs.Endpoint`); one with a `run_id` was tuned by a service. `facts` are what the training run measured (best
    validation loss, steps, seconds).
    """

    model_id: str
    name: str
    kind: Literal["base", "adapter", "endpoint"]
    base: Row
    adapter: str | None
    run_id: str | None
    fingerprint: str | None
    facts: Row
    added_at: datetime

    @property
    def waits(self) -> bool:
        """Whether it was tuned by a service where it must be deployed before it answers."""
        return bool(self.facts.get("needs_deployment"))


@dataclass(frozen=True)
class Ready:
    """A base model whose files are on this machine: what a snapshot can pin. Hashes are None for files it does not have."""

    name: str
    folder: Path

    @property
    def tokenizer(self) -> Path | None:
        path = self.folder / "tokenizer.json"
        return path if path.is_file() else None

    @property
    def pin(self) -> Row:
        """Its name and the hashes of its chat template and its tokenizer."""
        tokenizer = hashlib.sha256(self.tokenizer.read_bytes()).hexdigest() if self.tokenizer else None
        return {"name": self.name, "chat_template_sha256": _template(self.folder), "tokenizer_sha256": tokenizer}


@needs("read")
def ready(ws: Workspace) -> list[Ready]:
    """Base models that are ready here, the newest made ready first; then folders that were added."""
    made = sorted(ws.path("models").glob("*/tunewright.json"), key=lambda path: (-path.stat().st_mtime, path.parent.name))
    found = [Ready(str(json.loads(path.read_text(encoding="utf-8"))["source"]["name"]), path.parent) for path in made]
    folders = [Ready(model.name, Path(model.base["ref"])) for model in bases(ws) if model.base["kind"] == "folder"]
    return found + [one for one in folders if one.folder.is_dir()]


@needs("read")
def every(ws: Workspace) -> list[Model]:
    """The starter first, then the newest."""
    _ensure_starter(ws)
    found = ws.rows("select * from models order by model_id <> ?, added_at desc", [STARTER_ID])
    return [_model(row) for row in found]


@needs("read")
def answering(ws: Workspace) -> list[Model]:
    """All but those that a service tuned and that nobody deployed there yet."""
    return [model for model in every(ws) if not model.waits]


@needs("read")
def bases(ws: Workspace) -> list[Model]:
    return [model for model in every(ws) if model.kind == "base"]


@needs("read")
def adapters(ws: Workspace) -> list[Model]:
    return [model for model in every(ws) if model.kind == "adapter"]


@needs("read")
def tuned(ws: Workspace) -> list[Model]:
    """Adapters, and models that a service tuned and that answer; not their checkpoints."""
    return [model for model in answering(ws) if model.run_id and not model.facts.get("checkpoint")]


@needs("read")
def hosted(ws: Workspace, run_id: str = "") -> list[Model]:
    """Models that a service tuned (in this run), also checkpoints and those that must be deployed first."""
    return [model for model in every(ws) if model.kind == "endpoint" and model.run_id and run_id in ("", model.run_id)]


@needs("read")
def endpoints(ws: Workspace) -> list[Model]:
    """Servers that answer: those that people added, and models that a service tuned."""
    return [model for model in every(ws) if model.kind == "endpoint" and not model.waits]


@needs("read")
def get(ws: Workspace, model_id: str) -> Model:
    """Raises StudioError when there is no such model."""
    found = next((model for model in every(ws) if model.model_id == model_id), None)
    if found is None:
        raise StudioError(f"There is no model {model_id} in this workspace.", "Choose one on the Models page.")
    return found


@needs("read")
def base_of(ws: Workspace, model: Model) -> Model:
    """The model that another was tuned from (a base is its own)."""
    if model.kind == "endpoint":
        return next((one for one in endpoints(ws) if one.model_id == model.facts.get("base_id")), model)
    return next((base for base in bases(ws) if base.base == model.base), model)


@needs("run")
def add_base(ws: Workspace, kind: BaseKind, ref: str) -> Model:
    """Add a local folder, a GGUF file or a Hugging Face id. Raises StudioError when it cannot be a base model."""
    ref = ref.strip()
    if kind == "folder":
        path = _folder(ref)
        ref, name = str(path), path.name
    elif kind == "gguf":
        path = _gguf(ref)
        ref, name = str(path), path.stem
    elif kind == "hub":
        if not _HUB_ID.fullmatch(ref):
            raise StudioError(f"{ref!r} is not a Hugging Face id.", "It has the form owner/name, for example Qwen/Qwen3-0.6B.")
        name = ref
    else:
        raise StudioError("The starter model is already in the list.")
    base = {"kind": kind, "ref": ref, "name": name}
    known = next((model for model in bases(ws) if model.base == base), None)
    if known is not None:
        return known
    model_id = ws.new_id()
    with ws.transaction() as transaction:
        _insert(ws, transaction, model_id, name, "base", base)
    return get(ws, model_id)


@needs("run")
def add_endpoint(ws: Workspace, name: str, base_url: str, model: str, key_env: str = "", price_in: float | None = None,
                 price_out: float | None = None, money: str = "USD") -> Model:
    """Add a server that speaks OpenAI's chat API; an empty address is OpenAI's own. Prices are per million tokens.

    The key stays in the environment, in the variable `key_env`. The same server and model under another name is another entry.
    Raises StudioError in words, without repeating what may be a key.
    """
    name, model = " ".join(name.split()), model.strip()
    if not model:
        raise StudioError("An endpoint needs the name of a model.", "The server's own list of models has it.")
    if len(name) > LONGEST_NAME:
        raise StudioError(f"A name has at most {LONGEST_NAME} characters.")
    if any(price is not None and not 0 <= price < 1e6 for price in (price_in, price_out)):
        raise StudioError("A price for a million tokens lies between 0 and a million.")
    base = {"base_url": address(base_url), "model": model, "key_env": key_variable(key_env), "price_in": price_in,
            "price_out": price_out, "money": " ".join(money.split())[:12] or "USD"}
    known = next((one for one in endpoints(ws) if one.base == base and one.name == (name or model)), None)
    if known is not None:
        return known
    model_id = ws.new_id()
    with ws.transaction() as transaction:
        _insert(ws, transaction, model_id, name or model, "endpoint", base)
    return get(ws, model_id)


@needs("run")
def add_adapter(ws: Workspace, transaction: Transaction, run_id: str, name: str, base: Row, adapter: str,
                fingerprint: str, facts: Row) -> None:
    """Register what a training run made, once: collecting the run again adds nothing."""
    if not transaction.rows("select 1 from models where model_id = ?", [run_id]):
        _insert(ws, transaction, run_id, name, "adapter", base, adapter, run_id, fingerprint, facts)


@needs("run")
def add_hosted(ws: Workspace, transaction: Transaction, run_id: str, title: str, server: Row, base_model: str,
               made: Sequence[tuple[str, str, Row]]) -> None:
    """Register what a service tuned, once: (its name there, its name here, facts) each, the final one first; and the model it
    was tuned from, so that they can be compared. `server` is an endpoint without its model."""
    base = server | {"model": base_model}
    found = transaction.rows("select model_id, base from models where kind = 'endpoint'")
    base_id = next((row["model_id"] for row in found if all(json.loads(row["base"]).get(key) == base[key]
                                                            for key in ("base_url", "model", "key_env"))), "")
    if not base_id:
        base_id = ws.new_id()
        _insert(ws, transaction, base_id, base_model, "endpoint", base)
    taken = {row["model_id"] for row in transaction.rows("select model_id from models where run_id = ?", [run_id])}
    for place, (model, name, facts) in enumerate(made):
        model_id = run_id if place == 0 else f"step{facts.get('best_step')}-{run_id}"
        if model_id not in taken:
            _insert(ws, transaction, model_id, f"{title} ({name})", "endpoint", server | {"model": model}, None, run_id, None,
                    facts | {"base_id": base_id})


@needs("run")
def deployed(ws: Workspace, model: Model, deployment: str) -> Model:
    """A tuned model that was deployed at its service under this name: another entry, which answers."""
    deployment = deployment.strip()
    if not deployment or len(deployment) > LONGEST_NAME:
        raise StudioError("Give the name of the deployment.", "The service's own page of deployments has it.")
    model_id = ws.new_id()
    with ws.transaction() as transaction:
        _insert(ws, transaction, model_id, f"{model.name.removesuffix(')')}, deployed)", "endpoint",
                model.base | {"model": deployment}, None, model.run_id, None, model.facts | {"needs_deployment": False})
    return get(ws, model_id)


def stamp(ref: str) -> str:
    """Names, sizes and times of a local base's files, as a hash: another one in the same place is another base."""
    path = Path(ref)
    files = sorted([*path.glob("*.safetensors"), *path.glob("*.json")]) if path.is_dir() else [path] if path.is_file() else []
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _ensure_starter(ws: Workspace) -> None:
    if not ws.value("select count(*) from models where model_id = ?", [STARTER_ID]):
        with ws.transaction() as transaction:
            if not transaction.rows("select 1 from models where model_id = ?", [STARTER_ID]):
                _insert(ws, transaction, STARTER_ID, STARTER_NAME, "base",
                        {"kind": "starter", "ref": "", "name": STARTER_NAME})


def address(base_url: str, example: str = "http://localhost:8000/v1; leave it empty for OpenAI itself") -> str:
    """An address that can be shown and stored: no user, no password, no query, which may be secret. `example` stands in the
    hint."""
    base_url = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if base_url and not usable:
        raise StudioError("This is not the address of a server.", f"It looks like {example}.")
    if base_url and (parts.username or parts.password or parts.query or parts.fragment):
        raise StudioError("An address is kept and shown, so it must hold no password and no key.",
                          "Give the key in an environment variable.")
    return base_url


def key_variable(name: str) -> str:
    """Raises StudioError for what is no name of such a variable: it may be the key itself."""
    if name.strip() and not _KEY_ENV.fullmatch(name.strip()):
        raise StudioError("The key is read from an environment variable: OPENAI_API_KEY (or that of Azure, Nebius or "
                          "Together), or one that begins with TUNEWRIGHT_.",
                          "Set it where the studio is started, and write its name here, never the key.")
    return name.strip()


def _insert(ws: Workspace, transaction: Transaction, model_id: str, name: str, kind: str, base: Row,
            adapter: str | None = None, run_id: str | None = None, fingerprint: str | None = None,
            facts: Row | None = None) -> None:
    transaction.insert("models", [{
        "model_id": model_id, "name": name, "kind": kind, "base": json.dumps(base), "adapter": adapter, "run_id": run_id,
        "fingerprint": fingerprint, "facts": json.dumps(facts or {}), "added_at": ws.now()}])


def _template(folder: Path) -> str | None:
    """The hash of a model's chat template, wherever it is written; None where it has none."""
    alone, config = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if alone.is_file():
        template = alone.read_text(encoding="utf-8")
    elif config.is_file():
        template = json.loads(config.read_text(encoding="utf-8")).get("chat_template")
    else:
        template = None
    if not template:
        return None
    text = template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _folder(ref: str) -> Path:
    path = Path(ref).expanduser().resolve()
    if not ref or not path.is_dir():
        raise StudioError(f"There is no folder {ref!r} on this machine.", "Give the full path of a model's folder.")
    if not (path / "config.json").is_file():
        raise StudioError(f"{path} is not a model's folder: it has no config.json.",
                          "Choose the folder that a model was saved to with its tokenizer.")
    if not list(path.glob("*.safetensors")):
        raise StudioError(f"{path} has no .safetensors weights.",
                          "Convert the model to safetensors first: other formats can run code when they are opened.")
    return path


def _gguf(ref: str) -> Path:
    path = Path(ref).expanduser().resolve()
    if not ref or not path.is_file():
        raise StudioError(f"There is no file {ref!r} on this machine.", "Give the full path of a .gguf file.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise StudioError(f"{path.name} is not a GGUF file.", "Choose a model file that ends in .gguf.")
    return path


def _model(row: Row) -> Model:
    return Model(**(row | {"base": json.loads(row["base"]), "facts": json.loads(row["facts"])}))
