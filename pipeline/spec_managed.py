"""What runs at a fine-tuning service are asked to do: a quote, the training itself, the files that lie there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.spec_parts import Frozen


class Service(Frozen):
    """A fine-tuning service. `base_url` empty: OpenAI itself, or Together itself.

    `key_env` names the environment variable that holds the key (empty: OPENAI_API_KEY or TOGETHER_API_KEY at the service's own
    address); the key itself is never here. `api`: whose calls it serves; Azure and Nebius serve OpenAI's.
    """

    api: Literal["openai", "together"] = "openai"
    base_url: str = ""
    key_env: str = ""


class Tuning(Frozen):
    """Which model learns from what, and where; a quote is about the same as the training. Where a number is none the service
    chooses; `validation_file` is empty where there is none."""

    run_id: str
    service: Service = Service()
    model: str
    train_file: str
    validation_file: str = ""
    epochs: int | None = Field(default=None, ge=1, le=50)


class ManagedSpec(Tuning):
    """Fine-tuning at a service: upload, create the job, watch it to its end. `price`: per million trained tokens."""

    kind: Literal["managed"] = "managed"
    batch_size: int | None = Field(default=None, ge=1, le=256)
    learning_rate_multiplier: float | None = Field(default=None, gt=0)
    suffix: str = Field(default="", max_length=64)
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    price: float | None = Field(default=None, ge=0)
    money: str = "USD"
    poll_seconds: float = Field(default=15, gt=0, le=600)


class QuoteSpec(Tuning):
    """What the training would be, before anything is paid: the very lines, what is wrong with them, tokens, the account."""

    kind: Literal["quote"] = "quote"


class ServiceFilesSpec(Frozen):
    """Delete the files with those ids at the service, then list what is there."""

    kind: Literal["service_files"] = "service_files"
    run_id: str
    service: Service = Service()
    delete: tuple[str, ...] = ()
