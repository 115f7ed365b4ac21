"""The spec of a drift check."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.spec_parts import Frozen, Meaning


class DriftSpec(Frozen):
    """Are today's questions still what the model was trained on, and what they were in the weeks before?

    Today's are those of the run folder's texts.parquet with period 0, from `since` until `until` (UTC, ISO 8601); periods 1 to
    `weeks`, of the same length, lie before. That file holds a sample: `rows` and `before_rows` count all there were.
    `train_file` is what the model learned from, relative to the workspace; none: only the weeks before are looked at.
    """

    kind: Literal["drift"] = "drift"
    run_id: str
    since: str
    until: str
    weeks: int = Field(default=4, ge=0, le=12)
    rows: int = Field(ge=0)
    before_rows: int = Field(default=0, ge=0)
    model: str = Field(default="", description="the production model whose questions these are; none: of all")
    train_file: str = ""
    meaning: Meaning | None = Field(default=None, description="none: the words themselves (TF-IDF of all that is compared)")
    seed: int = 1234
