"""Before records leave the studio: what of personal data is open or unchecked, in words, and who says "all the same"."""

from __future__ import annotations

from studio import findings
from studio.errors import StudioError
from studio.findings import Gate
from studio.permissions import needs
from studio.ui.formats import count
from studio.workspace import Workspace


def sentence(gate: Gate) -> str:
    """What is not settled; empty where all is."""
    if gate.clear:
        return ""
    if not gate.ever_checked:
        return "These records were not checked for personal data."
    parts = [f"{count(gate.open_records, 'record')} hold{'s' if gate.open_records == 1 else ''} open privacy findings"
             ] if gate.open_records else []
    parts += [f"{count(gate.unchecked_records, 'record')} came in or changed since the last check"
              ] if gate.unchecked_records else []
    return f"{' and '.join(parts)}."


@needs("curate", looks=True)
def check(ws: Workspace, accepted: bool, only_kept: bool = False) -> Gate:
    """The gate as it stands. Raises StudioError where it is not clear, unless somebody `accepted` that."""
    gate = findings.privacy_gate(ws, only_kept)
    if not gate.clear and not accepted:
        raise StudioError(f"Personal data is not settled. {sentence(gate)}",
                          "Check the records and settle what is found, or say that it shall go on all the same.")
    return gate
