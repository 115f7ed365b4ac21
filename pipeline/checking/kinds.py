"""Every kind of finding there is, in the order in which people see them. Light: the app reads it too."""

from __future__ import annotations

from pipeline.checking import cleaning, corpus, privacy, quality
from pipeline.checking.finding import Group, Kind

NOT_CHECKED = Kind("not_checked", "privacy", "Could not be checked",
                   "A check broke on this record: read it yourself before anything is made of it.")

GROUPS: tuple[Group, ...] = ("privacy", "cleaning", "quality")
_FOUND: tuple[Kind, ...] = (*privacy.KINDS, NOT_CHECKED, *cleaning.KINDS, *corpus.KINDS, *quality.KINDS)
KINDS: tuple[Kind, ...] = tuple(kind for group in GROUPS for kind in _FOUND if kind.group == group)

BY_KEY: dict[str, Kind] = {kind.key: kind for kind in KINDS}

OF_ALL_RECORDS: tuple[str, ...] = tuple(kind.key for kind in corpus.KINDS)
"""Kinds that only all records together show: the newest check says all of them anew, for unchanged records too."""
