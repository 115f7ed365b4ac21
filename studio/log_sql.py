"""The SQL that makes one log row of one record: texts, moments, figures, whatever way they are written. Pure: strings only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from studio.log_columns import YES_NO, Found, Leaf

MOST = 1e9
"""A larger figure is none: no latency, cost or number of tokens of one answer is."""
UTC_OFFSET = "[0-9:][+-][0-9]{2}:?([0-9]{2})?$"
_SEPARATOR = "chr(31)"


@dataclass
class Cells:
    """Where values are read from: the file's columns as SQL with their types, or one JSON column `whole`, whose wanted paths
    are all taken out in one go: `paths` grows as they are asked for."""

    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    whole: str = ""
    paths: list[str] = field(default_factory=list)

    def of(self, leaf: Leaf, below: str = "") -> str:
        """The value of a place (or of what lies `below` it), as text or in the column's own type."""
        if self.whole:
            wanted = leaf.json + below
            if wanted not in self.paths:
                self.paths.append(wanted)
            return f"v[{self.paths.index(wanted) + 1}]"
        sql, kind = self.columns[leaf.column]
        if nested(kind):
            sql = f"to_json({sql})::varchar"
        if not leaf.json and not below:
            return sql
        return f"case when json_valid({sql}) then json_extract_string({sql}, '{quoted((leaf.json or '$') + below)}') end"

    def kind(self, leaf: Leaf) -> str:
        return "VARCHAR" if self.whole or leaf.json else self.columns[leaf.column][1]


def nested(kind: str) -> bool:
    return kind.endswith("[]") or kind.startswith(("STRUCT", "MAP", "LIST", "UNION"))


def quoted(text: str) -> str:
    return text.replace("'", "''")


def row(found: Found, cells: Cells, formats: Sequence[str]) -> str:
    """The columns of a staged row, for `select`. In two steps: `raw` reads each value once, `finished` works on them."""

    def text(role: str) -> str:
        parts = [_as_text(cells.of(leaf), cells.kind(leaf)) for leaf in found.places(role)]
        return f"coalesce({', '.join([*(f'nullif({part}, {EMPTY})' for part in parts), EMPTY])})"

    def number(role: str) -> str:
        parts = [_number(cells.of(leaf), cells.kind(leaf)) for leaf in found.places(role)]
        return f"coalesce({', '.join([*parts, 'null::double'])})"

    def moment(role: str) -> str:
        parts = [_moment(cells.of(leaf), cells.kind(leaf), formats) for leaf in found.places(role)]
        return f"coalesce({', '.join([*parts, 'null::timestamp'])})"

    turns = found.places("messages")[:1]
    chat = {
        name: cells.of(turns[0], below) if turns else "null::varchar"
        for name, below in (("chat", ""), ("last_role", "[#-1].role"), ("last_said", "[#-1].content"))
    }
    factor = " / 1000" if found.milliseconds else ""
    return ", ".join(
        [
            *(f"{sql} as {name}" for name, sql in chat.items()),
            f"{text('question')} as asked",
            f"{text('answer')} as said",
            f"{moment('time')} as began",
            f"{moment('end')} as ended",
            f"{text('time')} as time_text",
            f"{number('latency')}{factor} as latency",
            f"trim({text('model')}) as model",
            f"trim({text('rating')}) as rated",
            f"lower(trim({text('success')})) as succeeded",
            f"{number('cost')} as cost",
            f"{number('prompt_tokens')} as prompt_tokens",
            f"{number('new_tokens')} as new_tokens",
            f"trim({text('slice')}) as slice",
            f"trim({text('person')}) as person",
            f"trim({text('request_id')}) as request_id",
        ]
    )


EMPTY = "''"
FINISHED = f"""
    case when bad then 'it is no JSON object'
         when time_text <> '' and began is null then 'its time cannot be read'
         when began not between timestamp '2000-01-01' and now()::timestamp + interval 2 days then 'its time cannot be right'
         when question = '' and answer = '' and coalesce(latency_s, prompt_tokens, new_tokens, cost) is null
              and not ((rated <> '' or success is not null) and request_id <> '')
         then 'it holds neither texts nor figures' end as problem,
    question = '' and answer = '' and coalesce(latency_s, prompt_tokens, new_tokens, cost) is null as feedback,
    began as happened_at, left(model, 200) as model, left(slice, 200) as slice, question, answer, messages, rated, success,
    latency_s, prompt_tokens, new_tokens, cost, left(person, 320) as person, left(request_id, 200) as request_id,
    left(md5(concat_ws({_SEPARATOR}, request_id, epoch_us(began), model,
                       case when messages = '' then question else messages end, answer,
                       case when request_id = '' and began is null then concat_ws('/', latency_s, new_tokens, cost) end)),
         16) as h"""
"""From what `WORDED` made."""

_USER = (
    "json_extract_string(list_filter(json_extract(chat, '$[*]'), lambda t: json_extract_string(t, '$.role') = 'user')"
    "[-1], '$.content')"
)
_ANSWERED = "said = '' and last_role = 'assistant'"
WORDED = f"""
    bad, began, time_text, model, slice, rated, cost, person, request_id,
    case when prompt_tokens < 2e9 then prompt_tokens::integer end as prompt_tokens,
    case when new_tokens < 2e9 then new_tokens::integer end as new_tokens,
    case when succeeded in ({", ".join(f"'{one}'" for one in YES_NO[0])}) then true
         when succeeded in ({", ".join(f"'{one}'" for one in YES_NO[1])}) then false end as success,
    coalesce(latency, case when ended >= began then epoch_us(ended - began) / 1e6 end) as latency_s,
    coalesce(case when chat is null then asked when last_role = 'user' then {{last}}
                  when json_valid(chat) then {{user}} end, '') as question,
    coalesce(case when {_ANSWERED} then {{last}} else {{said}} end, '') as answer,
    case when chat is null or chat = '' or last_role is null then ''
         when {_ANSWERED} then to_json(json_extract(chat, '$[*]')[:-2])::varchar
         when json_array_length(chat) <= 1 then '' else chat end as messages"""


def worded() -> str:
    """The texts of a row: the customer's last question, the answer, the request's messages where there are several. Content
    that comes in parts is put together; a conversation that ends with the agent is its own answer."""
    return WORDED.format(last=_parts("last_said"), user=_parts(_USER), said=_parts("said"))


def _parts(sql: str) -> str:
    return (
        f"case when starts_with({sql}, '[{{') and json_valid({sql}) "
        f"then array_to_string(json_extract_string({sql}, '$[*].text'), chr(10)) else {sql} end"
    )


def _as_text(sql: str, kind: str) -> str:
    return sql if kind == "VARCHAR" or nested(kind) else f"({sql})::varchar"


def _number(sql: str, kind: str) -> str:
    value = f"try_cast({sql} as double)"
    return f"case when {value} between 0 and {MOST} then {value} end"


def _moment(sql: str, kind: str, formats: Sequence[str]) -> str:
    if kind.startswith("TIMESTAMP WITH"):
        return f"make_timestamp(epoch_us({sql}))"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"({sql})::timestamp"
    number = f"try_cast({sql} as double)"
    seconds = (
        f"case when {number} < 1e11 then {number} when {number} < 1e14 then {number} / 1e3 "
        f"when {number} < 1e17 then {number} / 1e6 else {number} / 1e9 end"
    )
    counted = f"when {number} between 1e8 and 4e18 then make_timestamp((({seconds}) * 1e6)::bigint)"
    if kind != "VARCHAR":
        return f"case {counted} end"
    others = "".join(f", try_strptime({sql}, '{quoted(form)}')" for form in formats)
    return (
        f"case {counted} when regexp_matches({sql}, '{UTC_OFFSET}') and contains({sql}, ':') "
        f"then make_timestamp(epoch_us(try_cast({sql} as timestamptz))) "
        f"else coalesce(try_cast({sql} as timestamp){others}) end"
    )
