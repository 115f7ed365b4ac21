"""The spec of a look at a cluster."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.spec_parts import BaseSource, Frozen
from pipeline.spec_place import Place


class LookSpec(Frozen):
    """What is on the cluster now; with `test` also, of every node, its Python and packages, whether it can read and write the
    storage, which of the variables `keys` are set there, and whether the bases are on the storage or can be brought."""

    kind: Literal["look"] = "look"
    run_id: str
    place: Place
    test: bool = True
    packages: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    bases: tuple[BaseSource, ...] = Field(default=(), description="base models that a run there would need")
