"""System prompts under a name (`studio/named.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from studio import named
from studio.errors import StudioError
from studio.named import PROMPTS
from studio.permissions import needs
from studio.workspace import Workspace

LONGEST_NAME, LONGEST_TEXT = PROMPTS.longest_name, 20_000


@dataclass(frozen=True)
class Prompt:
    """`prompt_id` changes with every change."""

    prompt_id: str
    name: str
    text: str
    who: str


@needs("read")
def every(ws: Workspace) -> list[Prompt]:
    """By name."""
    return [Prompt(row["prompt_id"], row["name"], row["text"], row["who"]) for row in named.every(ws, PROMPTS)]


@needs("run")
def save(ws: Workspace, name: str, text: str, who: str) -> Prompt:
    """Keep a prompt under a name; what stood under it before is replaced. Raises StudioError for what cannot be used."""
    name, text = named.name_of(PROMPTS, name), text.strip()
    if not text or len(text) > LONGEST_TEXT:
        raise StudioError(f"A prompt has 1 to {LONGEST_TEXT:,} characters.")
    return Prompt(named.say(ws, PROMPTS, name, text, who), name, text, who)


@needs("run")
def delete(ws: Workspace, name: str, who: str) -> None:
    """Take a prompt off the list. Raises StudioError where there is none of that name."""
    named.delete(ws, PROMPTS, name, who)
