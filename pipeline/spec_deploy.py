"""What runs that bring a tuned model out of the door are asked to do: export, push, serve, parity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.spec_parts import Candidate, Endpoint, Frozen

Form = Literal["adapter", "merged", "gguf"]
Precision = Literal["bfloat16", "float16", "float32"]
Onto = Literal["trained", "base"]


class ExportSpec(Frozen):
    """Folders that others can use, made under exports/<run_id>/, one a form; "gguf" is made from a merged folder.

    `onto`: an adapter that learned on 4-bit values is merged into just those values ("trained"), or into the 16 bits that the
    base came with ("base"). For one that learned on 16 bits both are the same. The model card lies in the run folder (card.md).
    """

    kind: Literal["export"] = "export"
    run_id: str
    tuned: Candidate
    forms: Annotated[tuple[Form, ...], Field(min_length=1)]
    precision: Precision = "bfloat16"
    onto: Onto = "trained"


class PushSpec(Frozen):
    """Put an exported folder (relative to the workspace) on the Hugging Face Hub as `owner/name`, as a model or as a data set.
    HF_TOKEN is in the environment, never here."""

    kind: Literal["push"] = "push"
    run_id: str
    folder: str
    repository: str
    private: bool = True
    what: Literal["model", "dataset"] = "model"


class ServeSpec(Frozen):
    """A server that speaks OpenAI's chat API, until it is stopped.

    It answers as `tuned` was evaluated, or from a `merged` folder (relative to the workspace). `key_env` names the environment
    variable that holds the token that callers must send; an address other than this machine's own needs one. Without a
    question for `sleeps_after` seconds the memory is given back; the device is given back whenever somebody waits for it.
    A question waits `patience` seconds for the device; then its caller is told to come again.
    `memory_share` is what vLLM may take of the graphics card's memory.
    """

    kind: Literal["serve"] = "serve"
    run_id: str
    name: str = Field(min_length=1, max_length=80)
    tuned: Candidate
    merged: str = ""
    engine: Literal["tunewright", "vllm"] = "tunewright"
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65_535)
    key_env: str = ""
    sleeps_after: float = Field(default=60, ge=0)
    patience: float = Field(default=60, gt=0)
    memory_share: float = Field(default=0.5, gt=0, le=0.95)


class ParitySpec(Frozen):
    """Is it the same model? So many of the items are put to the adapter as it was evaluated, to the merged folder and to the
    server, and what they read and say is compared. `merged` empty, or `served` none: not asked.

    `served_precision`: what the server computes in, where that is not the precision of this machine.
    """

    kind: Literal["parity"] = "parity"
    run_id: str
    tuned: Candidate
    export_id: str = ""
    merged: str = ""
    serve_id: str = ""
    served: Endpoint | None = None
    served_precision: Literal["", "bfloat16", "float16", "float32"] = ""
    items_file: str
    prompts: int = Field(default=50, ge=1, le=1_000)
    max_new_tokens: int = Field(default=64, ge=1, le=1_024)
