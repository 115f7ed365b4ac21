"""Turns of conversations as JSON text, built by SQL from the cells of a staging."""

from __future__ import annotations

from studio.columns import Choices
from studio.staging import Staging, trimmed

# A system turn at the front is not the desk's: it is left out where two wordings are compared.
_SYSTEM_TURN = r'^\[\s*\{"role":\s*"system",\s*"content":\s*"(?:[^"\\]|\\.)*"\},?\s*'


ORDER = "happened_at nulls last, depth, r"
"""How messages of a thread follow each other: by time, else by who replies to whom, else as they stand in the file."""


def text(value: str) -> str:
    """A string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def clean(sql: str) -> str:
    """Cell text without blanks at its ends and with plain line ends."""
    plain = f"replace(replace({sql}, chr(13) || chr(10), chr(10)), chr(13), chr(10))"
    return f"case when contains({sql}, chr(13)) then {trimmed(plain)} else {trimmed(sql)} end"


def turns(staging: Staging, choices: Choices, joined: bool) -> str:
    """A query of (conversation, turns): JSON objects with commas between, the system prompt not among them.

    Conversations that are refused or left out whole are not in it.
    """
    if choices.layout == "conversation":
        cell = clean(f"c.{staging.cell(str(choices.columns.message))}")
        return f"""select g.conversation, {cell}[2:-2] as turns
                   from side.gathered g join side.cells c on c.r = g.conversation"""
    if choices.layout == "message":
        return _threads(staging, choices)
    pair = f"{_turn('user', _message(staging, choices))} || ',' || {_turn('assistant', _cell(staging, choices.columns.answer))}"
    if not joined:
        return f"select g.conversation, {pair} as turns from side.gathered g join side.cells c on c.r = g.conversation"
    return f"""select p.conversation, string_agg({pair}, ',' order by p.r) as turns
               from side.rows_read p join side.cells c on c.r = p.r
               where p.refused is null and p.left_out is null group by p.conversation"""


def messages(choices: Choices, turns_sql: str) -> str:
    """Turns as a whole conversation, behind the system prompt unless they bring their own."""
    prompt = choices.system_prompt.strip()
    if not prompt:
        return f"'[' || {turns_sql} || ']'"
    system = f"""'{{"role":"system","content":' || to_json({text(prompt)}) || '}},'"""
    own = f"regexp_matches({turns_sql}, '^\\{{\\s*\"role\":\\s*\"system\"')"
    front = f"case when {own} then '' else {system} end" if choices.layout == "conversation" else system
    return f"'[' || {front} || {turns_sql} || ']'"


def without_system(sql: str) -> str:
    """A conversation's JSON text without its system turn, for comparing."""
    return f"regexp_replace({sql}, {text(_SYSTEM_TURN)}, '[')"


def _cell(staging: Staging, column: str | None) -> str:
    return clean(f"c.{staging.cell(str(column))}")


def _message(staging: Staging, choices: Choices) -> str:
    """The customer's words: with the subject above them where that is wanted; Alpaca's input below its instruction."""
    message = _cell(staging, choices.columns.message)
    if choices.columns.subject and choices.with_subject and choices.columns.subject != choices.columns.message:
        subject = _cell(staging, choices.columns.subject)
        return f"""case when {subject} = '' or starts_with(lower({message}), lower({subject})) then {message}
                        else {subject} || chr(10) || chr(10) || {message} end"""
    if staging.form == "alpaca" and "input" in staging.columns and choices.columns.message == "instruction":
        more = _cell(staging, "input")
        return f"case when {more} = '' then {message} else {message} || chr(10) || chr(10) || {more} end"
    return message


def _turn(role: str, content: str) -> str:
    return f"""'{{"role":"{role}","content":' || to_json({content}) || '}}'"""


def _threads(staging: Staging, choices: Choices) -> str:
    """Messages in the order of their time; several in a row by the same side are one turn."""
    said = _cell(staging, choices.columns.message)
    turn = """'{"role":"' || role || '","content":' || to_json(content) || '}'"""
    return f"""select conversation, string_agg({turn}, ',' order by place) as turns from (
        select conversation, any_value(role) as role, min(place) as place,
               string_agg(content, chr(10) || chr(10) order by place) as content
        from (select *, place - row_number() over (partition by conversation, role order by place) as island from (
            select p.conversation, p.role, p.happened_at, p.depth, p.r, {said} as content,
                   row_number() over (partition by p.conversation order by {ORDER}) as place
            from side.rows_read p join (select * rename (r as place_in_files) from side.cells) c
                on c.place_in_files = p.r where p.refused is null and p.left_out is null))
        group by conversation, role, island) group by conversation"""
