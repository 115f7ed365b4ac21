"""Presets: dials under a name. The newest word on a name counts; deleting is one more row."""

from __future__ import annotations

from dataclasses import dataclass

from studio import dials
from studio.dials import Dials
from studio.errors import StudioError
from studio.workspace import Workspace

LONGEST_NAME = 60


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


def every(ws: Workspace) -> list[Preset]:
    """The built-in ones, then those that were saved, by name."""
    rows = ws.rows("""select * from training_presets
                      qualify row_number() over (partition by lower(name) order by seq desc) = 1""")
    saved = [Preset(row["preset_id"], row["name"], dials.read(row["dials"]), False, f"Saved by {row['who']}.")
             for row in rows if row["dials"]]
    return [*BUILT_IN, *sorted(saved, key=lambda preset: preset.name.lower())]


def save(ws: Workspace, name: str, said: Dials, who: str) -> Preset:
    """Keep dials under a name; what stood under it before is replaced. Raises StudioError for a name that cannot be used."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise StudioError(f"A preset needs a name of at most {LONGEST_NAME} characters.")
    if any(preset.name.lower() == name.lower() for preset in BUILT_IN):
        raise StudioError(f"{name} comes with Tunewright and stays as it is.", "Choose another name.")
    return _say(ws, name, dials.written(said), who)


def delete(ws: Workspace, name: str, who: str) -> None:
    """Take a saved preset off the list. Raises StudioError where there is none of that name."""
    if not any(preset.name == name and not preset.built_in for preset in every(ws)):
        raise StudioError(f"There is no saved preset called {name}.", "Reload the page; it may have been deleted already.")
    _say(ws, name, "", who)


def is_saved(ws: Workspace, name: str) -> bool:
    """Whether saving under this name would replace something."""
    wanted = " ".join(name.split()).lower()
    return any(preset.name.lower() == wanted for preset in every(ws) if not preset.built_in)


def _say(ws: Workspace, name: str, text: str, who: str) -> Preset:
    row = {"preset_id": ws.new_id(), "seq": 0, "name": name, "dials": text, "who": who, "said_at": ws.now()}
    with ws.transaction() as transaction:
        transaction.decided("training_presets", [row])
    return Preset(str(row["preset_id"]), name, dials.read(text or "{}"), False, f"Saved by {who}.")
