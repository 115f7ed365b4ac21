"""Handles: one open workspace as a person sees it.

A handle shares everything with the workspace that it stands for (lock, connection, journal), is equal to it and hashes alike,
so what is cached by workspace is found by either. It differs in `person`, whose rights `studio/permissions.py` asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from studio.people import Person


class Seen:
    """What a workspace knows of who looks at it. `person` is None on a plain one, which may do everything; `within` says that
    a noun was allowed and is at work, so that what it calls is not asked again."""

    person: Person | None = None
    within: bool = False
    _core: Self | None = None
    _handles: dict[tuple[Person, bool], Self]

    @property
    def core(self) -> Self:
        """The workspace itself: for what the studio does by itself in somebody's page."""
        return self._core or self

    def seen_by(self, person: Person | None) -> Self:
        """This workspace as a person sees it; for nobody the workspace itself."""
        return self.core if person is None else self.core._handle(person, False)

    def inside(self) -> Self:
        """The handle that a noun works with once it was allowed."""
        return self.core if self.person is None else self.core._handle(self.person, True)

    def _handle(self, person: Person, within: bool) -> Self:
        """The core keeps its handles: caches hold workspaces weakly, and must not lose one that came in through a handle."""
        if (person, within) not in self._handles:
            made = object.__new__(type(self))
            made.__dict__.update(_core=self, person=person, within=within)
            self._handles.setdefault((person, within), made)
        return self._handles[person, within]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and self.core is other.core

    def __hash__(self) -> int:
        return id(self.core)

    if not TYPE_CHECKING:  # a handle has nothing of its own but the three above
        def __getattr__(self, name: str) -> Any:
            if (core := self.__dict__.get("_core")) is None:
                raise AttributeError(name)
            return getattr(core, name)

        def __setattr__(self, name: str, value: Any) -> None:
            (self.__dict__.get("_core") or self).__dict__[name] = value
