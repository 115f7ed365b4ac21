"""What a run on a cluster needs there: packages, and variables that hold keys."""

from __future__ import annotations

PACKAGES = ("ray", "pydantic", "filelock", "fsspec", "numpy", "pyarrow", "torch", "transformers", "peft", "bitsandbytes",
            "safetensors", "scikit-learn", "rensa", "presidio-analyzer", "openai")
KEYS = ("OPENAI_API_KEY", "HF_TOKEN")
