"""Parts that specs share: where a base comes from, an endpoint, how answers are made, who answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
