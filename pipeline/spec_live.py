"""What runs beside production are asked to do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.spec_parts import Frozen


class ReceiveSpec(Frozen):
    """Take log rows that are POSTed to /logs, until it is stopped. `token_env` names the environment variable with the token.

    What was acknowledged lies, flushed to the disk, in the run folder: the app takes closed files `received-*.jsonl` away.
    """

    kind: Literal["receive"] = "receive"
    run_id: str
    host: str = "127.0.0.1"
    port: int = Field(default=8710, ge=0, le=65_535, description="0: any that is free")
    token_env: str = "TUNEWRIGHT_LOG_TOKEN"
    most_bytes: int = Field(default=8 << 20, ge=1_024, le=256 << 20, description="the largest body")
    file_seconds: float = Field(default=1.0, gt=0, description="how long a file is written to before the next one")
    file_bytes: int = Field(default=32 << 20, ge=1_024)
