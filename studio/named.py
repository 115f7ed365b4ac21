"""What people keep under a name: presets, prompts, rubrics, functions, services, prices, clusters.

The newest word on a name counts, an empty one deletes.

Every kind has a table of its own, insert-only, with columns (its key, seq, name, its text, who, said_at) and those of `within`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.errors import StudioError
from studio.mentions import named_in
from studio.workspace import Row, Transaction, Workspace


@dataclass(frozen=True)
class Kind:
    """One kind: its table, what its key and text columns are called, what it is called in a sentence, how long a name may be,
    and columns within which a name is one name."""

    table: str
    key: str
    text: str
    title: str
    longest_name: int = 60
    within: tuple[str, ...] = ()


PRESETS = Kind("training_presets", "preset_id", "dials", "preset")
PROMPTS = Kind("system_prompts", "prompt_id", "text", "prompt")
RUBRICS = Kind("rubrics", "rubric_id", "text", "rubric", within=("mode",))
OWN_METRICS = Kind("own_metrics", "own_metric_id", "code", "score", 40)
RECIPES = Kind("recipes", "recipe_id", "recipe", "recipe")
SERVICES = Kind("tuning_services", "service_id", "service", "service")
TUNING_PRICES = Kind("tuning_prices", "price_id", "price", "price", 120)
CLUSTERS = Kind("clusters", "cluster_id", "cluster", "cluster")
KINDS = (PRESETS, PROMPTS, RUBRICS, OWN_METRICS, RECIPES, SERVICES, TUNING_PRICES, CLUSTERS)


def every(ws: Workspace, kind: Kind) -> list[Row]:
    """The newest row of each name that is not deleted, by name."""
    parts = ", ".join((*kind.within, "lower(name)"))
    return ws.rows(f"""select * from (from {kind.table} qualify row_number() over (partition by {parts} order by seq desc) = 1)
                       where {kind.text} <> '' order by lower(name)""")


def name_of(kind: Kind, name: str, built_in: Sequence[str] = ()) -> str:
    """A name as it is kept. Raises StudioError for one that cannot be used, or that comes with Tunewright."""
    name = " ".join(name.split())
    if not name or len(name) > kind.longest_name:
        raise StudioError(f"A {kind.title} needs a name of at most {kind.longest_name} characters.")
    if name.lower() in (one.lower() for one in built_in):
        raise StudioError(f"{name} comes with Tunewright and stays as it is.", "Choose another name.")
    return name


def say(ws: Workspace, kind: Kind, name: str, text: str, who: str, **within: str) -> str:
    """Keep a text under a name; what stood under it before is replaced. Returns the row's key."""
    row: Row = {kind.key: ws.new_id(), "seq": 0, "name": name, **within, kind.text: text, "who": who, "said_at": ws.now()}
    with ws.transaction() as transaction:
        transaction.decided(kind.table, [row])
    return str(row[kind.key])


def delete(ws: Workspace, kind: Kind, name: str, who: str, **within: str) -> None:
    """Take a name off the list. Raises StudioError where there is none."""
    if not any(row["name"] == name and all(row[key] == value for key, value in within.items()) for row in every(ws, kind)):
        raise StudioError(f"There is no saved {kind.title} called {name}.",
                          "Reload the page; it may have been deleted already.")
    say(ws, kind, name, "", who, **within)


def about(ws: Workspace, words: Sequence[str]) -> list[str]:
    """The keys of all rows, of every kind, that name one of the words (lower case)."""
    return [row["key"] for kind in KINDS for row in ws.rows(
        f"""select distinct {kind.key} as key from {kind.table} t, (select unnest(?::varchar[]) as word) w
            where {named_in('t.name')} or {named_in('t.' + kind.text)}""", [list(words)])]


def forget(transaction: Transaction, keys: Sequence[str]) -> None:
    """Delete rows by their keys: what stood under the name before stands again, where that names nobody."""
    for kind in KINDS:
        transaction.execute(f"delete from {kind.table} where {kind.key} in (select unnest(?::varchar[]))", [list(keys)])
