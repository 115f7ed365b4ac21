"""Programs of others that export and serving can use where they are installed: llama.cpp's converter and vLLM. Light."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

LLAMA_CPP, VLLM = "TUNEWRIGHT_LLAMA_CPP", "vllm"
"""In the environment: the folder that llama.cpp was cloned into. The name of vLLM's command."""

CONVERTER = "convert_hf_to_gguf.py"
OWN_MACHINE = ("127.0.0.1", "::1", "localhost")
GREEDY = '{"temperature": 0}'


def converter(environment: Mapping[str, str] = os.environ) -> Path | None:
    """llama.cpp's script that writes GGUF: in the folder that a person named, else on PATH."""
    named = environment.get(LLAMA_CPP, "").strip()
    if named:
        path = Path(named).expanduser() / CONVERTER
        return path if path.is_file() else None
    found = shutil.which(CONVERTER, path=environment.get("PATH"))
    return Path(found) if found else None


def vllm(environment: Mapping[str, str] = os.environ) -> str | None:
    """vLLM's command, beside this Python or on PATH."""
    places = os.pathsep.join((str(Path(sys.executable).parent), environment.get("PATH", "")))
    return shutil.which(VLLM, path=places)


def vllm_arguments(folder: str, name: str, host: str, port: int, precision: str, memory_share: float) -> list[str]:
    """What `vllm` is called with. Where a question does not say otherwise it answers greedily, as it was evaluated; a key is
    never here (VLLM_API_KEY)."""
    return ["serve", folder, "--served-model-name", name, "--host", host, "--port", str(port), "--dtype", precision,
            "--gpu-memory-utilization", f"{memory_share:g}", "--override-generation-config", GREEDY]


def vllm_environment(environment: Mapping[str, str], key: str) -> dict[str, str]:
    """Nothing is fetched and nothing told to others; the key, where there is one, as vLLM reads it."""
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
             "HF_HUB_DISABLE_TELEMETRY": "1"}
    kept = {name: value for name, value in environment.items() if name not in ("HF_TOKEN", "VLLM_API_KEY")}
    return kept | quiet | ({"VLLM_API_KEY": key} if key else {})
