"""A run of kind "export": folders that others can use, made beside and renamed in whole under exports/<run_id>/."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import base_models
from pipeline.deploy import tools
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child, write_atomic
from pipeline.spec_deploy import ExportSpec

HOME, CARD, MANIFEST = "exports", "card.md", "tunewright.json"
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
OUTTYPE = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}
SPARE = 1 << 30
"""Bytes of the disk that stay free."""

LOOK_SECONDS = 0.3
Facts = dict[str, Any]


def run(child: Child, spec: ExportSpec, workspace: Path) -> Facts:
    """Make every form; returns what became of it. Forms that an earlier attempt made whole are kept.

    Raises PipelineError in words, Stopped when asked to stop.
    """
    final = workspace / HOME / spec.run_id
    if final.is_dir():
        return dict(json.loads((final / MANIFEST).read_text(encoding="utf-8")))
    making = final.with_name(f".{spec.run_id}.making")
    making.mkdir(parents=True, exist_ok=True)
    wanted = {*spec.forms, *(("merged",) if "gguf" in spec.forms else ())}
    forms = [form for form in ("adapter", "merged", "gguf") if form in wanted]
    facts: Facts = {"folder": f"{HOME}/{spec.run_id}", "precision": spec.precision, "onto": spec.onto,
                    "adapter_sha256": spec.tuned.sha256, "distance": None, "forms": {}}
    for form in forms:
        if child.stop_requested():
            raise Stopped("Stopped before everything was written; what is whole is kept.")
        facts |= _form(child, spec, workspace, making, form)
        facts["forms"][form] = _contents(making / form)
    write_atomic(making / MANIFEST, json.dumps(facts, indent=1) + "\n")
    for told in making.glob(".*.json"):
        told.unlink()
    os.rename(making, final)
    return facts


def done_words(data: Facts) -> str:
    size = sum(one["bytes"] for one in data["forms"].values())
    names = {"adapter": "the adapter", "merged": "the merged model", "gguf": "GGUF"}
    return f"Written: {', '.join(names[form] for form in data['forms'])}; {size / 1e6:,.0f} MB in all."


def _form(child: Child, spec: ExportSpec, workspace: Path, making: Path, form: str) -> Facts:
    """Make one form, where it is not there, and return what is worth telling of it (told again by a resumed run)."""
    told = making / f".{form}.json"
    if (making / form).is_dir() and told.is_file():
        return dict(json.loads(told.read_text(encoding="utf-8")))
    beside = making / f".{form}"
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(making / form, ignore_errors=True)
    beside.mkdir()

    def say(said: str) -> None:
        child.say(said.split()[0].lower(), sentence=said)

    write: dict[str, Callable[[], Facts]] = {
        "adapter": lambda: _adapter(spec, workspace, beside),
        "merged": lambda: _merged(spec, workspace, beside, say),
        "gguf": lambda: _gguf(child, spec, making / "merged", beside)}
    facts = write[form]()
    card = child.folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else f"# {spec.tuned.name}\n"
    write_atomic(beside / "README.md", _readme(spec, form, text, facts))
    write_atomic(told, json.dumps(facts))
    os.rename(beside, making / form)
    return facts


def _adapter(spec: ExportSpec, workspace: Path, out: Path) -> Facts:
    """The adapter's weights and its config, and nothing else that lies there."""
    folder = _there(spec, workspace)
    shutil.copyfile(folder / "adapter_model.safetensors", out / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    base = spec.tuned.base
    config["base_model_name_or_path"] = base.ref if base and base.kind == "hub" else base.name if base else ""
    write_atomic(out / "adapter_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
    return {}


def _merged(spec: ExportSpec, workspace: Path, out: Path, say: Callable[[str], None]) -> Facts:
    from pipeline.deploy import merging

    adapter = _there(spec, workspace)
    assert spec.tuned.base is not None
    base = base_models.prepare(spec.tuned.base, workspace, say)
    _has_room(base, out, BYTES[spec.precision])
    learned_on_4_bits = spec.tuned.method == "qlora"
    made = merging.merge(base, adapter, learned_on_4_bits and spec.onto == "trained", spec.precision, out, say)
    distance = merging.distance(base, say) if learned_on_4_bits and spec.onto == "base" else made.distance
    return {"distance": distance, "layers": made.layers, "base_fingerprint": base_models.fingerprint(base)}


def _gguf(child: Child, spec: ExportSpec, merged: Path, out: Path) -> Facts:
    """llama.cpp's own converter, in a process of its own; it is ended when the run is to stop."""
    script = tools.converter()
    if script is None:
        raise PipelineError("llama.cpp's converter is not installed.",
                            f"Clone llama.cpp and set {tools.LLAMA_CPP} to its folder where the studio is started.")
    child.say("converting", sentence="llama.cpp writes GGUF")
    path = out / f"model-{OUTTYPE[spec.precision]}.gguf"
    converting = subprocess.Popen(
        [sys.executable, str(script), str(merged), "--outfile", str(path), "--outtype", OUTTYPE[spec.precision]],
        stdin=subprocess.DEVNULL, cwd=script.parent)
    while converting.poll() is None:
        if child.stop_requested():
            converting.kill()
            converting.wait()
            raise Stopped("Stopped while GGUF was written; the merged model is kept.")
        try:
            converting.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    if converting.returncode or not path.is_file() or path.open("rb").read(4) != b"GGUF":
        raise PipelineError(f"llama.cpp's converter did not write GGUF (exit status {converting.returncode}).",
                            "The end of the log says why; it may not know this kind of model. The merged model alone can be "
                            "exported.")
    if not _has_template(path):
        raise PipelineError("llama.cpp's converter left the chat template out, so the model would read other prompts.",
                            "Take a newer llama.cpp. The merged model alone can be exported.")
    return {"gguf": path.name}


def _has_template(path: Path) -> bool:
    from gguf import GGUFReader

    return "tokenizer.chat_template" in GGUFReader(path).fields


def _there(spec: ExportSpec, workspace: Path) -> Path:
    folder = workspace / (spec.tuned.adapter or "")
    if not spec.tuned.adapter or not (folder / "adapter_model.safetensors").is_file():
        raise PipelineError(f"The adapter of {spec.tuned.name} is gone.", "Put it back from a backup, or train again.")
    return folder


def _has_room(base: Path, out: Path, bytes_a_value: int) -> None:
    """Bases lie in 16 bits; so many more bytes must be free, and some are left."""
    need = sum(path.stat().st_size for path in base.glob("*.safetensors")) * bytes_a_value // 2 + SPARE
    free = shutil.disk_usage(out).free
    if free < need:
        raise PipelineError(f"The disk has {free / 1e9:.1f} GB free, and the merged model needs {need / 1e9:.1f} GB.",
                            "Make room, or export the adapter alone.")


def _readme(spec: ExportSpec, form: str, card: str, facts: Facts) -> str:
    """The head that the Hub reads, the card, and what this folder is."""
    base = spec.tuned.base
    named = f"base_model: {base.ref}\n" if base and base.kind == "hub" else ""
    library = {"adapter": "peft", "merged": "transformers", "gguf": "gguf"}[form]
    head = f"---\n{named}library_name: {library}\npipeline_tag: text-generation\ntags:\n- tunewright\n---\n\n"
    return f"{head}{card.rstrip()}\n\n## This folder\n\n{folder_words(spec, form, facts)}\n"


def folder_words(spec: ExportSpec, form: str, facts: Facts) -> str:
    """What lies here and how it came about: for a merged model above all which values the adapter was merged into."""
    if form == "adapter":
        return ("The LoRA adapter alone (safetensors), to be put on its base model with peft." +
                (" It learned on the base in 4 bits (NF4): on a 16-bit base it answers a little differently."
                 if spec.tuned.method == "qlora" else ""))
    said = [f"Base and adapter merged, {spec.precision}. Answers are greedy, as they were evaluated, and the chat template is "
            "the one it was trained with."]
    if spec.tuned.method == "qlora":
        apart = f" (which lie {100 * facts['distance']:.1f} % from the 16-bit ones)" if facts.get("distance") else ""
        said.append("The adapter learned on the base in 4 bits (NF4) and was merged into " + (
            f"just those values{apart}." if spec.onto == "trained" else
            "the 16-bit base, whose values" + (f" lie {100 * facts['distance']:.1f} % from those that it learned on"
                                               if facts.get("distance") else " are not those that it learned on")
            + ": it answers a little differently than it was evaluated."))
    if spec.precision != "float32":
        said.append(f"Every weight was rounded to {spec.precision} once.")
    return " ".join(said if form == "merged" else ["GGUF, by llama.cpp's converter from the merged model.", *said])


def _contents(folder: Path) -> Facts:
    """How large it is, and the hash of every file."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            files[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": sum((folder / name).stat().st_size for name in files), "files": files}
