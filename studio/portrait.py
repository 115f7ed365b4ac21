"""What an import looks like: how long, how rated, about what, when. Every number is worked out where the records lie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from studio.permissions import needs
from studio.workspace import Workspace

LENGTH_STEPS = (0, 5, 10, 20, 40, 80, 160, 320, 640, 1280)
"""Word counts at which bars of the length chart begin; the last is open."""

_TEXTS = """select r.record_id, json_extract_string(v.messages, '$[*].role') as roles,
    json_extract_string(v.messages, '$[*].content') as texts
    from records r join record_now n using (record_id)
    join record_versions v on v.record_id = n.record_id and v.version = n.version where r.import_id = ?"""


@dataclass(frozen=True)
class Length:
    """Words in a conversation's first customer message and in its last answer: the middle, and the ends of 90 %."""

    median: int
    low: int
    high: int


@dataclass(frozen=True)
class Portrait:
    """`question_steps` and `answer_steps` count conversations by LENGTH_STEPS; `repeated_answers` share their answer, word for
    word, with another conversation of the import."""

    conversations: int
    threads: int
    question: Length
    answer: Length
    question_steps: tuple[int, ...]
    answer_steps: tuple[int, ...]
    repeated_answers: int
    tags: dict[str, int]
    ratings: dict[float, int]
    months: dict[date, int]


@needs("raw")
def of_import(ws: Workspace, import_id: str) -> Portrait | None:
    """What came in with this import, in its present wording; None when nothing did."""
    words = "len(string_split_regex(trim({}), '\\s+'))"
    row = ws.row(f"""with said as ({_TEXTS}),
        ends as (select list_filter(list_zip(roles, texts), lambda t: t[1] = 'user')[1][2] as q, texts[-1] as a,
                 len(list_filter(roles, lambda role: role = 'assistant')) as answers from said),
        sized as (select {words.format('q')} as qn, {words.format('a')} as an, md5(a) as same, answers from ends),
        twins as (select same, count(*) as n from sized group by same)
        select count(*) as conversations, count(*) filter (answers > 1) as threads,
            quantile_disc(qn, [0.05, 0.5, 0.95]) as q, quantile_disc(an, [0.05, 0.5, 0.95]) as a,
            {_steps('qn')} as qs, {_steps('an')} as ans, count(*) filter (n > 1) as repeated
        from sized join twins using (same)""", [import_id])
    if row is None or not row["conversations"]:
        return None
    return Portrait(row["conversations"], row["threads"], _length(row["q"]), _length(row["a"]), tuple(row["qs"]),
                    tuple(row["ans"]), row["repeated"], _counted(ws, import_id, "tags", "n desc, k limit 15"),
                    _counted(ws, import_id, "rating", "k"),
                    _counted(ws, import_id, "date_trunc('month', happened_at)::date", "k"))


def _steps(column: str) -> str:
    ends = [*LENGTH_STEPS[1:], 2**40]
    counts = ", ".join(f"count(*) filter ({column} >= {low} and {column} < {high})"
                       for low, high in zip(LENGTH_STEPS, ends, strict=True))
    return f"[{counts}]"


def _length(quantiles: list[int]) -> Length:
    return Length(median=quantiles[1], low=quantiles[0], high=quantiles[2])


def _counted(ws: Workspace, import_id: str, what: str, order: str) -> dict:  # type: ignore[type-arg]
    found = ws.rows(f"select {what} as k, count(*) as n from records where import_id = ? and {what} is not null "
                    f"group by k order by {order}", [import_id])
    return {row["k"]: row["n"] for row in found}
