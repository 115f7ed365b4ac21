"""System prompts under a name. The newest word on a name counts; deleting is one more row."""

from __future__ import annotations

from dataclasses import dataclass

from studio.errors import StudioError
from studio.workspace import Workspace

LONGEST_NAME, LONGEST_TEXT = 60, 20_000


@dataclass(frozen=True)
class Prompt:
    """`prompt_id` changes with every change."""

    prompt_id: str
    name: str
    text: str
    who: str


def every(ws: Workspace) -> list[Prompt]:
    """By name."""
    rows = ws.rows("""select prompt_id, name, text, who from system_prompts
                      qualify row_number() over (partition by lower(name) order by seq desc) = 1""")
    return sorted((Prompt(**row) for row in rows if row["text"]), key=lambda prompt: prompt.name.lower())


def save(ws: Workspace, name: str, text: str, who: str) -> Prompt:
    """Keep a prompt under a name; what stood under it before is replaced. Raises StudioError for what cannot be used."""
    name, text = " ".join(name.split()), text.strip()
    if not name or len(name) > LONGEST_NAME:
        raise StudioError(f"A prompt needs a name of at most {LONGEST_NAME} characters.")
    if not text or len(text) > LONGEST_TEXT:
        raise StudioError(f"A prompt has 1 to {LONGEST_TEXT:,} characters.")
    return _say(ws, name, text, who)


def delete(ws: Workspace, name: str, who: str) -> None:
    """Take a prompt off the list. Raises StudioError where there is none of that name."""
    if not any(prompt.name == name for prompt in every(ws)):
        raise StudioError(f"There is no prompt called {name}.", "Reload the page; it may have been deleted already.")
    _say(ws, name, "", who)


def _say(ws: Workspace, name: str, text: str, who: str) -> Prompt:
    prompt = Prompt(ws.new_id(), name, text, who)
    with ws.transaction() as transaction:
        transaction.decided("system_prompts", [{"prompt_id": prompt.prompt_id, "seq": 0, "name": name, "text": text,
                                                "who": who, "said_at": ws.now()}])
    return prompt
