"""What a run is asked to do: frozen, validated, written once as spec.json by the app and read by the child.

Paths are relative to the workspace folder, so a snapshot and a run folder can be copied to another machine and run there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator


class SpecError(ValueError):
    """A spec that cannot be run; the message names the field and says what it must be."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseSource(Frozen):
    """Where the weights of a base model come from.

    `ref` is empty for the starter model, a path for "folder" and "gguf", `owner/name` for "hub".
    """

    kind: Literal["starter", "folder", "gguf", "hub"]
    ref: str = ""
    name: str


class Endpoint(Frozen):
    """A server that speaks OpenAI's chat API. `base_url` is empty for OpenAI itself.

    `key_env` names the environment variable that holds the key; the key itself is never here. Prices are per million tokens.
    `concurrency`: how many questions are asked at a time.
    """

    base_url: str = ""
    model: str
    key_env: str = ""
    concurrency: int = Field(default=8, ge=1, le=64)
    price_in: float | None = Field(default=None, ge=0)
    price_out: float | None = Field(default=None, ge=0)
    money: str = "USD"


class Decoding(Frozen):
    """How answers are generated: greedy at temperature 0, at most `max_new_tokens` tokens; or `samples` an item, drawn with a
    seed. `batch_size` is the most prompts at a time; none: what fits."""

    max_new_tokens: int = Field(default=150, ge=1, le=4096)
    batch_size: int | None = Field(default=None, ge=1, le=1024)
    samples: int = Field(default=1, ge=1, le=32)
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int = 1234

    @model_validator(mode="after")
    def _greedy_answers_are_all_alike(self) -> Decoding:
        if self.temperature == 0 and self.samples > 1:
            raise ValueError("several samples an item need a temperature above 0: greedy answers are all alike")
        return self


class Meaning(Frozen):
    """How texts become vectors: words weighed by TF-IDF, a model in a local folder (safetensors), or an endpoint.

    `ref` is the model's folder, or the endpoint's base URL; `model` the endpoint's name for its model. The endpoint's key is in
    the environment (`pipeline.dedupe.endpoint`), never here.
    """

    kind: Literal["tfidf", "model2vec", "transformer", "endpoint"] = "tfidf"
    ref: str = ""
    model: str = ""


class Shots(Frozen):
    """Few-shot: `examples` of the train file before each question, the most similar ones or a diverse set for all.

    `sha256` is the hash of that file: the same path may hold fewer lines once somebody asked to be forgotten.
    """

    train_file: str
    sha256: str = ""
    examples: int = Field(ge=1, le=32)
    choice: Literal["nearest", "diverse"] = "nearest"


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


class Candidate(Frozen):
    """One that answers: a base, with an adapter (a folder) on top or without, or an endpoint; with its own system prompt
    (in place of the item's), with examples before the question, or as it is.

    The base is held as it was when the adapter learned on it ("qlora": with the values of its 4 bits), and so is the base that
    it is compared with: else the difference would be one of rounding too. `model_id` is the model's in the list of models;
    `candidate_id` that of this model with this prompt. `sha256` stands for the model's own bytes (an adapter's weights), where
    they are known.
    """

    model_id: str
    candidate_id: str = ""
    name: str
    base: BaseSource | None = None
    adapter: str | None = None
    method: Literal["qlora", "lora"] = "qlora"
    endpoint: Endpoint | None = None
    system: str | None = None
    shots: Shots | None = None
    sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _a_model_as_it_is_has_one_id(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return given | {"candidate_id": given.get("candidate_id") or given.get("model_id")}

    @model_validator(mode="after")
    def _something_answers(self) -> Candidate:
        if (self.base is None) == (self.endpoint is None):
            raise ValueError("a candidate is a base model or an endpoint")
        return self


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
    own: dict[str, str] = {}
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


class Cell(Frozen):
    """One cell of a recipe: so many examples of this scenario, asked by such a customer. Empty: not said."""

    scenario: str
    persona: str = ""
    difficulty: str = ""
    tone: str = ""
    language: str = "en"
    count: int = Field(ge=1, le=10_000)


Work = Literal["examples", "paraphrases", "answers", "conversations", "hard"]
"""What is made: new questions with answers, other wordings of a seed's question (its answer kept), better answers to a seed's
question, talks of several turns, or hard and hostile questions with the right refusal."""


class Checks(Frozen):
    """What the gate asks of each example. `shortest` and `longest`: characters of one turn; `twin_at` 0: no twins looked for.

    A `judge` scores by the `rubric`, 1 to 5; less than `least_score` is set aside.
    """

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
    """A model makes examples, cell by cell, and each goes through the gate. `prompt` is the template of one question to it.

    `system` is the system turn that the made examples get; `shots`: seeds in a prompt; `tries`: how often a slot is asked until
    one is accepted; `only`: a preview, the first slots alone.
    """

    kind: Literal["synthesize"] = "synthesize"
    run_id: str
    model: Candidate
    work: Work
    cells: Annotated[tuple[Cell, ...], Field(min_length=1)]
    prompt: str
    system: str = ""
    documents: tuple[str, ...] = ()
    shots: int = Field(default=3, ge=0, le=16)
    seed: int = 1234
    temperature: float = Field(default=0.8, ge=0, le=2)
    max_new_tokens: int = Field(default=800, ge=1, le=8_192)
    tries: int = Field(default=3, ge=1, le=10)
    budget: float | None = Field(default=None, gt=0, description="money that the run stops before it passes")
    checks: Checks = Checks()
    only: int | None = Field(default=None, ge=1)


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


AnySpec = (TrainSpec | EvaluateSpec | ScoreSpec | JudgeSpec | SynthesisSpec | ConnectSpec | CheckSpec | ValidateSpec | DedupeSpec
           | InspectSpec | SuggestSpec | PreviewSpec)
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
