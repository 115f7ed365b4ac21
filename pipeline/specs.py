"""What a run is asked to do: frozen, validated, written once as spec.json by the app and read by the child.

Paths are relative to the workspace folder, so a snapshot and a run folder can be copied to another machine and run there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.spec_deploy import ExportSpec, ParitySpec, PushSpec, ServeSpec
from pipeline.spec_drift import DriftSpec
from pipeline.spec_live import ReceiveSpec
from pipeline.spec_look import LookSpec
from pipeline.spec_managed import ManagedSpec, QuoteSpec, ServiceFilesSpec
from pipeline.spec_parts import (
    BaseSource,
    Candidate,
    Decoding,
    Endpoint,
    Frozen,
    Meaning,
    Shots,
    SpecError,
)

__all__ = ["BaseSource", "Candidate", "Decoding", "DriftSpec", "Endpoint", "ExportSpec", "ManagedSpec", "Meaning", "ParitySpec",
           "PushSpec", "QuoteSpec", "ServeSpec", "ServiceFilesSpec", "Shots", "SpecError"]


class TrainSpec(Frozen):
    """Supervised fine-tuning of a LoRA adapter, loss on the agent's turns only.

    The base is held in NF4 ("qlora", arXiv:2305.14314) or in 16 bits ("lora", arXiv:2106.09685); "auto" takes the quickest that
    fits. Where a number is none it is derived from the data and the machine (`pipeline.training.recipe`).
    """

    kind: Literal["train"] = "train"
    run_id: str
    base: BaseSource
    train_file: str
    validation_file: str
    epochs: int = Field(default=3, ge=1, le=50)
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    rank: int = Field(default=16, ge=1, le=512)
    method: Literal["auto", "qlora", "lora"] = "auto"
    step_tokens: int | None = Field(default=None, ge=16, description="tokens an optimizer step learns from")
    row_tokens: int | None = Field(default=None, ge=16, description="tokens computed at once; smaller needs less memory")
    checkpointing: Literal["auto", "on", "off"] = "auto"
    max_tokens: int | None = Field(default=None, ge=16, description="the longest example; none: what the model takes")
    too_long: Literal["refuse", "leave_out"] = Field(default="refuse", description="longer examples are never cut")
    evaluations_per_epoch: int = Field(default=2, ge=1, le=50)
    keep: int = Field(default=2, ge=1, le=100, description="newest checkpoints kept, beside the best one")
    sample_prompts: int = Field(default=3, ge=0, le=3, description="questions answered at each validation")
    processes: int = Field(default=1, ge=1, le=8, description="GPUs, or processes on a CPU, that share each step")
    sharding: Literal["auto", "on", "off"] = Field(default="auto", description="each process holds a part of the 4-bit base; "
                                                   "auto: where it does not fit whole")
    seed: int = 1234
    template_sha256: str = Field(default="", description="the chat template the snapshot pinned; another one is said in a note")


class EvaluateSpec(Frozen):
    """Every candidate answers every item with the same decoding; then every answer is scored against the reference.

    The first candidate is what the others are held against. `metrics` none: those that suit the answers (`scoring.names`);
    `primary` is the one that the verdict speaks of, chosen before anything was seen. `probes`: the general and refusal suite
    is answered too. `likelihood`: local models also say how likely the reference is to them, and each label. With a
    `train_file` the nearest training examples of each item are looked up (nearest.jsonl).
    """

    kind: Literal["evaluate"] = "evaluate"
    run_id: str
    items_file: str
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1)]
    decoding: Decoding = Decoding()
    answers: Literal["auto", "text", "labels", "json"] = "auto"
    labels_read: Literal["lenient", "strict"] = "lenient"
    metrics: tuple[str, ...] = ()
    primary: str = ""
    probes: bool = False
    likelihood: bool = True
    train_file: str = ""


class ScoreSpec(Frozen):
    """Score stored answers again (the run folder's answers.jsonl) with these metrics; nothing is generated.

    `own` are functions that people wrote: name → Python source, run beside the child alone (`scoring.own`).
    """

    kind: Literal["score"] = "score"
    run_id: str
    evaluation_id: str
    items_file: str
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    answers: Literal["auto", "text", "labels", "json"] = "auto"
    labels_read: Literal["lenient", "strict"] = "lenient"
    own: dict[str, str] = Field(default_factory=dict)
    contains: tuple[str, ...] = Field(default=(), description="words that an answer must contain, all of them")
    pattern: str = Field(default="", description="a regular expression that must match somewhere in an answer")
    answer_schema: str = Field(default="", description="a JSON schema that answers must meet")
    meaning: Meaning | None = None


class JudgeSpec(Frozen):
    """A chat model judges stored answers (the run folder's answers.jsonl) by a rubric: each alone (1 to 5), or `pairs` of
    candidates, always asked twice with the order swapped. `pairs` hold candidate ids; in absolute mode their members count.
    """

    kind: Literal["judge"] = "judge"
    run_id: str
    evaluation_id: str
    items_file: str
    judge: Candidate
    rubric: str
    mode: Literal["absolute", "pairwise"] = "pairwise"
    pairs: Annotated[tuple[tuple[str, str], ...], Field(min_length=1)]
    item_ids: tuple[str, ...] = Field(default=(), description="none: all items")
    budget: float | None = Field(default=None, gt=0, description="money that the run stops before it passes")


class ConnectSpec(Frozen):
    """Ask an endpoint one short question, to see whether it answers."""

    kind: Literal["connect"] = "connect"
    run_id: str
    model_id: str
    endpoint: Endpoint


class CheckSpec(Frozen):
    """Personal data, what to clean and quality, looked for in the records of the run folder's records.jsonl.

    `to_check` of the `records` lines are looked at by themselves; all are compared with each other. `own` are values that are
    nobody's secret (`pipeline.checking.privacy`).
    """

    kind: Literal["check"] = "check"
    run_id: str
    records: int = Field(ge=0)
    to_check: int = Field(ge=0)
    context_tokens: int | None = Field(default=None, ge=16, description="what the model reads at once; none: not asked")
    language: str | None = Field(default=None, description="the data's main language, ISO 639-1; none: found from a sample")
    own: tuple[str, ...] = ()
    names_model: str = Field(default="", description="an installed spaCy model, or its folder, that finds more names")
    tokenizer: str = Field(default="", description="a tokenizer.json, relative to the workspace, for real lengths")
    workers: int = Field(default=2, ge=1, le=64)
    chunk_bytes: int = Field(default=1 << 17, ge=1_024, description="about 150 records, a fifth of a second: what a stop waits "
                             "for and a crash loses")


class ValidateSpec(Frozen):
    """The form of a JSONL file of conversations, line by line. `file` is relative to the workspace, or an absolute path."""

    kind: Literal["validate"] = "validate"
    run_id: str
    file: str
    max_tokens: int = Field(default=8_192, ge=16, description="an example estimated to be longer is an error")


class Tested(Frozen):
    """A file whose lines are looked for in train: a split of a snapshot, or "foreign" for one made elsewhere."""

    split: Literal["validation", "test", "foreign"]
    file: str


class InspectSpec(Frozen):
    """Do lines of `tested` resemble lines of train, and, where `measure` is set, what are all these lines like?

    `plan` is the hash of the plan whose files lie in the run folder; it is empty for a frozen snapshot and a foreign file.
    """

    kind: Literal["inspect"] = "inspect"
    run_id: str
    plan: str = ""
    train_file: str
    tested: Annotated[tuple[Tested, ...], Field(min_length=1)]
    near_floor: float = Field(default=0.8, ge=0.3, le=1, description="lines whose 3-word shingles are this alike are leaks")
    meaning: Meaning | None = None
    meaning_floor: float | None = Field(default=None, ge=0, le=1, description="none: from where the model calls texts twins")
    measure: bool = True
    tokenizer: str = Field(default="", description="a tokenizer.json, relative to the workspace, for real lengths")


class DedupeSpec(Frozen):
    """Twins among the texts of the run folder's texts.parquet: exact copies, near twins and, where asked, twins by meaning.

    Pairs are kept from the floors on; thresholds are applied by the app. `meaning_floor` none: what suits the model.
    """

    kind: Literal["dedupe"] = "dedupe"
    run_id: str
    records: int = Field(ge=0)
    side: Literal["question", "answer", "both"]
    near_floor: float = Field(default=0.5, ge=0.3, le=1)
    meaning: Meaning | None = None
    meaning_floor: float | None = Field(default=None, ge=0, le=1)
    workers: int = Field(default=2, ge=1, le=64)
    chunk_texts: int = Field(default=16_384, ge=1, description="texts a worker reads at once; a quarter of a second")


class SuggestField(Frozen):
    """One field of a label set that can be learned: one of its values, or several."""

    key: str
    title: str
    kind: Literal["choice", "multi"]
    values: tuple[str, ...]


class SuggestSpec(Frozen):
    """The light model: learn from the labels of one set, suggest labels for the other records, and doubt some labels.

    The texts are in the run folder's records.jsonl: `labelled` of its `records` lines first.
    """

    kind: Literal["suggest"] = "suggest"
    run_id: str
    set_id: str
    fields: Annotated[tuple[SuggestField, ...], Field(min_length=1)]
    records: int = Field(ge=0)
    labelled: int = Field(ge=0)
    seed: int = 1234


class PreviewSpec(Frozen):
    """What a training run would do, before it is started: what is learned, how much memory it takes, how long it lasts."""

    kind: Literal["preview"] = "preview"
    run_id: str
    base: BaseSource
    train_file: str
    validation_file: str
    epochs: int = Field(default=3, ge=1, le=50)
    rank: int = Field(default=16, ge=1, le=512)
    method: Literal["auto", "qlora", "lora"] = "auto"
    step_tokens: int | None = Field(default=None, ge=16)
    max_tokens: int | None = Field(default=None, ge=16)
    processes: int = Field(default=1, ge=1, le=8)
    evaluations_per_epoch: int = Field(default=2, ge=1, le=50)
    known_tokens_s: float | None = Field(default=None, gt=0, description="what the newest run of this base measured here")
    known_method: Literal["qlora", "lora"] = Field(default="lora", description="how that run held the base")


class PlaySpec(Frozen):
    """The playground: answers what is appended to asks.jsonl, until nobody has asked for a while.

    Seconds without a question: after `sleeps_after` the device and the memory are given back, after `ends_after` it ends.
    """

    kind: Literal["play"] = "play"
    run_id: str
    hub: bool = Field(default=False, description="a person chose a model of the Hugging Face hub, which may be fetched")
    sleeps_after: float = Field(default=60, ge=0)
    ends_after: float = Field(default=900, ge=0)


class PlayAsk(Frozen):
    """A line of asks.jsonl: one reply that is wanted. `messages` end with the customer's question."""

    reply: str
    candidate: Candidate
    messages: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]
    decoding: Decoding = Decoding()
Work = Literal["examples", "paraphrases", "answers", "conversations", "hard"]


class Cell(Frozen):
    """So many examples of one combination. Everything but the language is words that go into the prompt."""

    scenario: str = ""
    persona: str = ""
    difficulty: str = ""
    tone: str = ""
    language: str = "en"
    count: int = Field(default=1, ge=1, le=20_000)


class Checks(Frozen):
    """What each example must pass: characters of one turn, the likeness (Jaccard, 3-word shingles) from which two are twins
    (0: not looked for), a judge with the least score that passes."""

    shortest: int = Field(default=1, ge=1)
    longest: int = Field(default=4_000, ge=1)
    languages: bool = True
    placeholders: bool = True
    personal: bool = True
    twin_at: float = Field(default=0.8, ge=0, le=1)
    judge: Candidate | None = None
    rubric: str = ""
    least_score: int = Field(default=4, ge=1, le=5)


class SynthesisSpec(Frozen):
    """A model writes examples, slot by slot; each has to pass the checks within `tries` asks.

    `prompt` is a template (`pipeline.synthesis.prompts`), empty: that of the work; `system` the system turn that the examples
    get. `shots` of the run folder's seeds.jsonl stand in each prompt. `only`: a preview of so many slots. """

    kind: Literal["synthesize"] = "synthesize"
    run_id: str
    model: Candidate
    work: Work
    cells: Annotated[tuple[Cell, ...], Field(min_length=1)]
    prompt: str = ""
    system: str = ""
    documents: tuple[str, ...] = ()
    shots: int = Field(default=3, ge=0, le=20)
    seed: int = 1234
    temperature: float = Field(default=0.8, ge=0, le=2)
    max_new_tokens: int = Field(default=800, ge=16, le=8192)
    tries: int = Field(default=3, ge=1, le=10)
    budget: float | None = Field(default=None, gt=0, description="money that the run stops before it passes")
    checks: Checks = Checks()
    only: int | None = Field(default=None, ge=1)


AnySpec = (TrainSpec | EvaluateSpec | ScoreSpec | JudgeSpec | ConnectSpec | CheckSpec | ValidateSpec | DedupeSpec | InspectSpec
           | SuggestSpec | PreviewSpec | PlaySpec | SynthesisSpec | ManagedSpec | QuoteSpec | ServiceFilesSpec | ReceiveSpec
           | DriftSpec | ExportSpec | PushSpec | ServeSpec | ParitySpec | LookSpec)
Spec = Annotated[AnySpec, Field(discriminator="kind")]
_adapter: TypeAdapter[AnySpec] = TypeAdapter(Spec)


def loads(text: str) -> AnySpec:
    try:
        return _adapter.validate_python(json.loads(text), strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(f"spec.json: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except json.JSONDecodeError as error:
        raise SpecError(f"spec.json is not JSON (line {error.lineno})") from None


def read(run_dir: Path) -> AnySpec:
    return loads((run_dir / "spec.json").read_text(encoding="utf-8"))


def dumps(spec: AnySpec) -> str:
    return json.dumps(spec.model_dump(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
