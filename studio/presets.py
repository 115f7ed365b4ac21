"""Presets: dials under a name. The newest word on a name counts; deleting is one more row."""

from __future__ import annotations

from dataclasses import dataclass

from studio import dials, named
from studio.dials import Dials
from studio.named import PRESETS
from studio.permissions import needs
from studio.workspace import Workspace


@dataclass(frozen=True)
class Preset:
    """Dials under a name. `preset_id` changes with every change; one that comes with Tunewright cannot be changed."""

    preset_id: str
    name: str
    dials: Dials
    built_in: bool
    hint: str


BUILT_IN = (
    Preset("guide", "The guide's recipe", Dials(epochs=3, learning_rate=2e-4, rank=16, method="qlora", keep=2), True,
           "QLoRA, rank 16, 2e-4, 3 epochs, two checkpoints kept, the best one at the end."),
    Preset("quick", "Quick look", Dials(epochs=1, rank=8, evaluations_per_epoch=4, keep=1), True,
           "One epoch, rank 8, four evaluations: does it learn at all? It underfits."))


@needs("read")
def every(ws: Workspace) -> list[Preset]:
    """The built-in ones, then those that were saved, by name."""
    saved = named.every(ws, PRESETS)
    return [*BUILT_IN, *(Preset(row["preset_id"], row["name"], dials.read(row["dials"]), False, f"Saved by {row['who']}.")
                         for row in saved)]


@needs("run")
def save(ws: Workspace, name: str, said: Dials, who: str) -> Preset:
    """Keep dials under a name; what stood under it before is replaced. Raises StudioError for a name that cannot be used."""
    name = named.name_of(PRESETS, name, [preset.name for preset in BUILT_IN])
    return Preset(named.say(ws, PRESETS, name, dials.written(said), who), name, said, False, f"Saved by {who}.")


@needs("run")
def delete(ws: Workspace, name: str, who: str) -> None:
    """Take a saved preset off the list. Raises StudioError where there is none of that name."""
    named.delete(ws, PRESETS, name, who)


@needs("read")
def is_saved(ws: Workspace, name: str) -> bool:
    """Whether saving under this name would replace something."""
    wanted = " ".join(name.split()).lower()
    return any(preset.name.lower() == wanted for preset in every(ws) if not preset.built_in)
