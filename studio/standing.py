"""The newest row of a person that stands, in a table where every act is a row and to take one back is one more row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.permissions import ask
from studio.workspace import Row, Transaction, Workspace

FIRST_LOOK = 20_000
"""So many of the newest numbers of the journal are looked at first, then eight times as many, and so on."""


def newest_row(read: Workspace | Transaction, table: str, key: str, who: str, also: str = "true",
           values: Sequence[Any] = ()) -> Row | None:
    """This person's newest row of the table that nobody took back; None where there is none.

    Rows lie in the order of their `seq`, and what takes a row back comes after it. So the newest few thousand mostly tell, in
    two milliseconds of a million. `also` is one more condition on the row `l`, with its `values`.
    """
    ask(read, "raw")
    top = int(read.rows(f"select coalesce(max(seq), 0) as top from {table}")[0]["top"])
    look = FIRST_LOOK
    while top:
        found = read.rows(f"""select max(l.seq) as seq from {table} l where l.seq > ? and l.who = ? and l.undoes is null
                              and {also} and not exists (from {table} u where u.seq > ? and u.undoes = l.{key})""",
                          [top - look, who, *values, top - look])[0]["seq"]
        if found is not None:
            return read.rows(f"select * from {table} where seq = ?", [found])[0]
        if look >= top:
            return None
        look *= 8
    return None


def rows_of_act(read: Workspace | Transaction, table: str, key: str, act: str, last: int) -> list[Row]:
    """The standing rows of an act, in their order. They lie together: from the row that bears the act's own name to `last`."""
    ask(read, "raw")
    first = read.rows(f"select seq from {table} where {key} = ?", [act])
    low = first[0]["seq"] if first else 0
    return read.rows(f"""select l.* from {table} l where l.seq between ? and ? and l.batch_id = ? and l.undoes is null
                         and not exists (from {table} u where u.seq > ? and u.undoes = l.{key}) order by l.seq""",
                     [low, last, act, low])
