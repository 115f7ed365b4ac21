"""What would become of every row of a staging: SQL over the side database, fast enough to be asked at every change of a choice.

`side.plan` gets one row a row of the files: (r, line, file, conversation, fate, reason), where fate is "in", "filtered" or
"refused" and a conversation is named by the number r of its first row. `side.conversations` gets one row a conversation that
is not refused: (conversation, record_id, reason), and `side.gathered` shows what its rows say in their narrow columns.
"""

from __future__ import annotations

from datetime import date

from studio import wordings
from studio.columns import Choices
from studio.errors import StudioError
from studio.moments import formats_of
from studio.ratings import Scale, read_scale
from studio.staging import Staging, is_blank, trimmed
from studio.wordings import ORDER, text

_DIFFERENT_RATINGS = 20_000


def check_choices(staging: Staging, choices: Choices) -> None:
    """Raises StudioError when a column is missing, chosen twice, or not in the files."""
    chosen, columns = choices.columns, staging.columns
    listed = f"Choose one of: {', '.join(columns[:12])}."
    wanted = {"ticket": ("message", "answer"), "message": ("message", "sender"), "conversation": ("message",)}[choices.layout]
    words = {"message": "customer message" if choices.layout == "ticket" else "text", "answer": "answer", "sender": "sender"}
    for role in wanted:
        if getattr(chosen, role) is None:
            raise StudioError(f"No column is chosen for the {words[role]}.", listed)
    missing = [name for name in (*chosen.in_order, *(c.column for c in choices.conditions)) if name and name not in columns]
    if missing:
        raise StudioError(f"{staging.files[0].name} has no column {missing[0]!r} (its columns: {', '.join(columns[:12])}).",
                          "Choose one of its columns.")
    if choices.layout == "ticket" and chosen.message == chosen.answer:
        raise StudioError("The same column is chosen for the message and for the answer.", "Choose two columns.")
    if choices.layout == "message" and not (chosen.ticket or (chosen.message_id and chosen.reply_to)):
        raise StudioError("Nothing says which messages belong together.",
                          "Choose the column of the ticket id, or those of the message id and of what it replies to.")
    if choices.layout == "message" and not choices.agents:
        raise StudioError("Nobody among the senders is the agent.", "Choose the sender values that stand for an agent.")


def scale_of(staging: Staging, column: str) -> Scale | None:
    """How a column rates, from all its different values; None where it does not."""
    return read_scale(staging.values(column, _DIFFERENT_RATINGS))


def days_of(staging: Staging, column: str) -> tuple[date, date] | None:
    """The first and the last day of a time column, None where it holds no times."""
    forms = _forms(staging, column)
    if not forms:
        return None
    found = staging.side.rows(f"select min(t)::date as low, max(t)::date as high from (select {_time(staging, column)} as t "
                              "from side.cells)")[0]
    return (found["low"], found["high"]) if found["low"] else None


def make(staging: Staging, choices: Choices) -> None:
    """Build `side.plan`, `side.conversations`, and the views `side.gathered` and `side.turns` (conversation, turns).

    Raises StudioError when the choices do not fit the files.
    """
    check_choices(staging, choices)
    _rate(staging, choices)
    with staging.side.stored("uncompressed"):  # it lives for minutes
        _build(staging, choices)


def _build(staging: Staging, choices: Choices) -> None:
    side = staging.side
    side.execute(f"create or replace table side.rows_read as {_rows_read(staging, choices)}")
    joined = _put_together(staging, choices)
    if joined:
        side.execute(f"create or replace table side.grouped as {_GROUPED}")
    side.execute(f"create or replace view side.gathered as {'from side.grouped' if joined else _EACH_ROW}")
    side.execute(f"create or replace view side.turns as {wordings.turns(staging, choices, joined)}")
    side.execute(f"""create or replace table side.keys as
        select conversation, sha256(turns) as content from side.turns
        where conversation in (select conversation from side.gathered g where {_ticket(choices)} is null)""")
    side.execute("""create or replace table side.keys as select conversation,
        content || ':' || row_number() over (partition by content order by conversation) as key from side.keys""")
    side.execute(f"""create or replace table side.conversations as
        select g.conversation, {_record_id(staging, choices)} as record_id, {_reason(choices)} as reason
        from side.gathered g left join side.keys k using (conversation)""")
    _leave_out_forgotten(staging)
    side.execute("""create or replace table side.plan as
        select p.r, p.file, p.line, p.conversation,
            case when p.refused is not null then 'refused' when coalesce(p.left_out, c.reason) is not null then 'filtered'
                 else 'in' end as fate, coalesce(p.refused, p.left_out, c.reason) as reason
        from side.rows_read p left join side.conversations c using (conversation)""")


def _rate(staging: Staging, choices: Choices) -> None:
    """`side.ratings`: what each different value of the rating column is as a number."""
    scale = scale_of(staging, choices.columns.rating) if choices.columns.rating else None
    if choices.columns.rating and scale is None:
        raise StudioError(f"The column {choices.columns.rating!r} holds no ratings that can be read.",
                          "Choose another column, or none.")
    staging.side.execute("create or replace table side.ratings (value varchar, rating double)")
    if scale:
        staging.side.execute("insert into side.ratings select unnest(?::varchar[]), unnest(?::double[])",
                             [list(scale.numbers), list(scale.numbers.values())])


def _rows_read(staging: Staging, choices: Choices) -> str:
    """One row a row: what the narrow columns say, and why it is refused, with its text left where it is."""
    chosen = choices.columns

    def cell(column: str | None) -> str:
        return trimmed(f"c.{staging.cell(column)}") if column else "''"

    narrow = ("ticket", "tags", "status", "name", "email", "message_id", "reply_to")
    named = {role: cell(getattr(chosen, role)) for role in narrow}
    blank = {role: is_blank(f"c.{staging.cell(getattr(chosen, role))}")
             for role in ("message", "answer", "sender") if getattr(chosen, role)}
    agents = ", ".join(text(value.strip()) for value in choices.agents) or "''"
    role = f"case when {cell(chosen.sender)} in ({agents}) then 'assistant' else 'user' end" if chosen.sender else "'user'"
    met = " and ".join(f"{cell(one.column)} in ({', '.join(text(v.strip()) for v in one.values) or 'null'})"
                       for one in choices.conditions) or "true"
    time = _time(staging, chosen.time, "c.") if chosen.time else "null::timestamp"
    columns = ", ".join(f"nullif({sql}, '') as {name}" for name, sql in named.items())
    refused = _refused(choices, blank, cell(chosen.message))
    return f"""select p.r, p.file, p.line, case {refused} end as refused, null::varchar as left_out, {role} as role,
        {met} as met, x.rating, {time} as happened_at, {columns}, p.r as conversation, 0 as depth
        from side.cells c join side.places p on p.r = c.r
        left join side.ratings x on x.value = {cell(chosen.rating)}"""


def _refused(choices: Choices, blank: dict[str, str], message: str) -> str:
    """Why a row cannot be used, as the branches of a case."""
    if choices.layout == "ticket":
        return f"when {blank['message']} then 'no customer message' when {blank['answer']} then 'no answer'"
    if choices.layout == "message":
        return f"when {blank['message']} then 'no text' when {blank['sender']} then 'no sender'"
    return f"""when {message} not like '[%' then 'no turns' when not json_valid({message}) then 'turns that are not JSON'
        when json_extract_string({message}, '$[#-1].role') is distinct from 'assistant' then 'the last turn is not the agent''s'
        when regexp_matches({message}, '"role":\\s*"tool"') then 'a tool speaks in it'
        when not regexp_matches({message}, '"role":\\s*"user"') then 'no customer message'"""


def _forms(staging: Staging, column: str) -> tuple[str, ...]:
    if column not in staging.formats:
        staging.formats[column] = formats_of(list(staging.values(column, 500)))
    return staging.formats[column]


def _time(staging: Staging, column: str, prefix: str = "") -> str:
    """A column as a timestamp in UTC where it names its zone, as it stands otherwise."""
    forms = _forms(staging, column)
    if not forms:
        return "null::timestamp"
    cell = trimmed(f"{prefix}{staging.cell(column)}")
    return f"try_strptime({cell}, [{', '.join(text(form) for form in forms)}])::timestamp"


def _put_together(staging: Staging, choices: Choices) -> bool:
    """Name each row's conversation after its first row; returns whether any conversation has more than one row."""
    side = staging.side
    if choices.layout == "message" and not choices.columns.ticket:
        _follow_replies(staging)
    elif choices.layout == "message" or (choices.join and choices.columns.ticket):
        repeats = side.rows("select count(ticket) > count(distinct ticket) as yes from side.rows_read where refused is null")
        if not repeats[0]["yes"] and choices.layout == "ticket":
            return False
        side.execute("""create or replace table side.firsts as select ticket, min(r) as first from side.rows_read
                        where refused is null and ticket is not null group by ticket""")
        side.execute("""update side.rows_read set conversation = f.first from side.firsts f
                        where f.ticket = rows_read.ticket and refused is null""")
    else:
        return False
    if choices.layout == "message":
        _leave_out_loose_ends(staging)
    elif choices.layout == "ticket":
        _leave_out_repeats(staging, choices)
    return True


def _leave_out_repeats(staging: Staging, choices: Choices) -> None:
    """The same ticket with the same words again, as overlapping exports hold it, is said once."""
    message, answer = (f"c.{staging.cell(str(column))}" for column in (choices.columns.message, choices.columns.answer))
    staging.side.execute(f"""create or replace table side.repeats as select r from (
        select p.r, row_number() over (partition by p.conversation, md5({message}), md5({answer}) order by p.r) as time
        from side.rows_read p join side.cells c on c.r = p.r where p.refused is null) where time > 1""")
    staging.side.execute("""update side.rows_read set left_out = 'repeats a row of the same ticket'
                            where r in (select r from side.repeats)""")


def _follow_replies(staging: Staging) -> None:
    """The first message of a chain of replies names the conversation; each step doubles how far up a message looks.

    Messages of a chain that bites its own tail have no first one: each stands alone.
    """
    side = staging.side
    side.execute("""create or replace table side.links as
        select m.r, coalesce(min(p.r), m.r) as up, (count(p.r) > 0)::integer as depth
        from side.rows_read m left join side.rows_read p
        on p.message_id = m.reply_to and p.refused is null and p.r <> m.r where m.refused is null group by m.r""")
    for _ in range(24):
        side.execute("""create or replace table side.links2 as select a.r, b.up, a.depth + b.depth as depth
                        from side.links a join side.links b on b.r = a.up""")
        moved = side.rows("select count(*) as n from side.links a join side.links2 b using (r) where a.up <> b.up")[0]["n"]
        side.execute("create or replace table side.links as select * from side.links2")
        if not moved:
            break
    side.execute("""update side.rows_read set conversation = l.up, depth = l.depth
                    from side.links l join side.links top on top.r = l.up and top.up = top.r where l.r = rows_read.r""")


def _leave_out_loose_ends(staging: Staging) -> None:
    """A conversation begins with the customer and ends with the agent: what stands before and after is left out, and said."""
    side = staging.side
    side.execute(f"""create or replace table side.ordered as
        select r, conversation, role,
            row_number() over (partition by conversation order by {ORDER}) as place
        from side.rows_read where refused is null""")
    side.execute("""create or replace table side.ends as
        select conversation, min(place) filter (role = 'user') as first,
               max(place) filter (role = 'assistant') as last from side.ordered group by conversation""")
    side.execute("""create or replace table side.loose as
        select o.r, case when e.last is null then 'the thread has no answer'
                         when e.first is null or e.last < e.first then 'the thread has no customer message before an answer'
                         when o.place < e.first then 'before the customer''s first message'
                         when o.place > e.last then 'after the last answer' end as left_out
        from side.ordered o join side.ends e using (conversation)""")
    side.execute("update side.rows_read set left_out = l.left_out from side.loose l where l.r = rows_read.r")


# One row a conversation: its first row, and the newest word of each narrow column.
_GROUPED = """select conversation, min(line) as line,
    arg_max(rating, r) as rating, arg_max(tags, r) as tags, arg_max(status, r) as status, arg_min(ticket, r) as ticket,
    arg_min(message_id, r) as message_id, arg_min(name, r) as name, arg_min(email, r) as email,
    min(happened_at) as happened_at, bool_or(met) as met
    from side.rows_read where refused is null and left_out is null group by conversation"""


# The same where every row is a conversation.
_EACH_ROW = """select conversation, line, rating, tags, status, ticket, message_id, name, email, happened_at, met
    from side.rows_read where refused is null"""


def _ticket(choices: Choices) -> str:
    """What names a conversation at its desk, null where nothing does."""
    if choices.layout == "message":
        return "coalesce(g.ticket, g.message_id)"
    return "g.ticket" if choices.join else "null"


def _record_id(staging: Staging, choices: Choices) -> str:
    """A conversation's name for ever: its ticket within its desk, else its content and how often that came before."""
    desk = choices.desk.strip().lower() or "columns:" + ",".join(sorted(staging.columns))
    return f"'r' || left(sha256({text(desk + ':')} || coalesce('ticket:' || {_ticket(choices)}, k.key)), 15)"


def _leave_out_forgotten(staging: Staging) -> None:
    """A customer who asked to be forgotten does not come in again with the next export (`studio/forgetting.py`)."""
    side = staging.side
    if side.rows("select 1 from forgotten limit 1"):
        hashed = "sha256((select salt from forgetting_salt) || '{}:' || {})"
        side.execute(f"""update side.conversations set reason = 'its customer was forgotten' where conversation in (
            select c.conversation from side.conversations c join side.gathered g using (conversation)
            where {hashed.format('record', 'c.record_id')} in (select sha256 from forgotten)
               or {hashed.format('email', 'lower(g.email)')} in (select sha256 from forgotten))""")


def _reason(choices: Choices) -> str:
    """Why a conversation is filtered out, or null."""
    parts = []
    if choices.conditions:
        parts.append("when not g.met then 'not among the chosen values'")
    if choices.columns.rating and choices.rating_min is not None:
        if not choices.keep_unrated:
            parts.append("when g.rating is null then 'not rated'")
        parts.append(f"when g.rating < {choices.rating_min!r} then 'rated under {choices.rating_min:g}'")
    if choices.columns.time and (choices.since or choices.until):
        parts.append("when g.happened_at is null then 'no time that can be read'")
    if choices.columns.time and choices.since:
        parts.append(f"when g.happened_at::date < date '{choices.since}' then 'before {choices.since}'")
    if choices.columns.time and choices.until:
        parts.append(f"when g.happened_at::date > date '{choices.until}' then 'after {choices.until}'")
    return f"case {' '.join(parts)} end" if parts else "null::varchar"
