"""Addresses of hosted services, and the keys to them. A key comes from the environment and goes nowhere else."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from pipeline.errors import PipelineError

OPENAI, OPENAI_KEY = "https://api.openai.com/v1", "OPENAI_API_KEY"


def key_name(base_url: str, key_env: str, own: str = OPENAI_KEY) -> str:
    """The variable that holds the key. A service's own key goes to its own address alone, unless a person names it."""
    return key_env or ("" if base_url else own)


def key(name: str, what_for: str) -> str:
    """The key, or a word where the server needs none. Raises PipelineError where the named variable is not set."""
    if name and not os.environ.get(name):
        raise PipelineError(f"The environment variable {name} is not set, so there is no key for {what_for}.",
                            "Set it where the studio is started, and start the studio again.")
    return os.environ[name] if name else "none"


def hint(name: str) -> str:
    """What to do where a key is refused."""
    return (f"Set {name} in the studio's environment to a key that may use it, and start the studio again." if name else
            "Name the environment variable that holds its key, on the Models page.")


def place(address: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
