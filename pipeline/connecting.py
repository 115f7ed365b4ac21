"""One short question to an endpoint, to see whether it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.examples import Example
from pipeline.generation.answer import Ask
from pipeline.generation.endpoint import EndpointModel
from pipeline.rundir import Child
from pipeline.specs import ConnectSpec, Decoding

TIMEOUT_SECONDS = 20.0


def run(child: Child, spec: ConnectSpec, workspace: Path) -> dict[str, Any]:
    """Ask. Raises PipelineError in words where no answer comes."""
    child.say("asking", sentence=f"Asking {spec.endpoint.model} one question")
    turns = ({"role": "user", "content": "Say OK."}, {"role": "assistant", "content": ""})
    model = EndpointModel(spec.endpoint, tries=0, timeout=TIMEOUT_SECONDS)
    found = model.ask(Ask(Example("connection", turns)), Decoding(max_new_tokens=16))
    return {"seconds": found.seconds, "prompt_tokens": found.prompt_tokens, "new_tokens": found.new_tokens,
            "answered": bool(found.text), "model": spec.endpoint.model}


def done_words(data: dict[str, Any]) -> str:
    return f"{data['model']} answers, after {data['seconds']:.1f} s."
