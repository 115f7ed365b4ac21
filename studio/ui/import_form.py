"""The import page's form: how files are written, which column holds what, which rows come in, and what that would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from studio import arrivals, columns, exports, findings, intake, runs
from studio.arrivals import Arrival
from studio.columns import Choices, Columns, Condition, Layout
from studio.intake import Outlook, Preview, Report
from studio.portrait import LENGTH_STEPS, Portrait
from studio.staging import Overrides, Staging
from studio.ui import charts, finding_view, layout
from studio.ui.formats import count, excerpt, share
from studio.workspace import Workspace

LAYOUTS: dict[Layout, str] = {
    "ticket": "One row a ticket", "message": "One row a message", "conversation": "One row a conversation"}
LABELS = {"message": "Customer message", "answer": "Agent's answer", "rating": "Rating", "ticket": "Ticket id", "tags": "Tags",
          "subject": "Subject", "status": "Status", "time": "Time", "name": "Customer's name", "email": "Customer's e-mail",
          "sender": "Sender", "message_id": "Message id", "reply_to": "In reply to"}
FIRST: dict[Layout, tuple[str, ...]] = {
    "ticket": ("message", "answer", "rating", "ticket"), "message": ("message", "sender", "ticket", "time"),
    "conversation": ("message", "rating", "ticket", "tags")}
MORE: dict[Layout, tuple[str, ...]] = {
    "ticket": ("tags", "subject", "status", "time", "name", "email"),
    "message": ("rating", "tags", "status", "name", "email", "message_id", "reply_to"),
    "conversation": ("status", "time", "name", "email")}
ENCODINGS = ("", "utf-8", "utf-16", "cp1252", "latin-1", "cp1250", "cp1251", "shift_jis", "gb18030")
DELIMITERS = {"": "as detected", ",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", ":": "colon"}
SHOWN_VALUES, SHOWN_ROWS = 200, 1_000


def written_as(ws: Workspace, arrival: Arrival, staging: Staging) -> None:
    """What was found out about the files, and a way to correct it."""
    first = staging.files[0]
    refused = sum(file.refused for file in staging.files)
    words = f"{arrival.names}: {count(staging.rows, 'row')}, {first.source.written_as}"
    st.caption(layout.plain(words + (f", {refused:,} that cannot be read" if refused else "") + "."))
    with st.expander("Read the file in another way", icon=":material/tune:"), st.container(horizontal=True):
        now = arrival.overrides
        encoding = st.selectbox("Encoding", ENCODINGS, index=layout.place(ENCODINGS, now.encoding) or 0, width=170,
                                format_func=lambda name: name or "as detected", key=f"encoding-{arrival.token}")
        marks = tuple(DELIMITERS)
        delimiter = st.selectbox("Columns are separated by", marks, index=layout.place(marks, now.delimiter) or 0, width=210,
                                 format_func=DELIMITERS.__getitem__, key=f"delimiter-{arrival.token}")
        sheets = ("", *first.source.sheets)
        sheet = st.selectbox("Sheet", sheets, index=layout.place(sheets, now.sheet) or 0, width=170,
                             format_func=lambda name: name or "the first with a table",
                             key=f"sheet-{arrival.token}") if first.source.sheets else ""
        headless = st.checkbox("The first row is a ticket, not the names of columns", value=now.headless,
                               key=f"headless-{arrival.token}")
    if Overrides(encoding, delimiter, sheet, headless) != now:
        arrivals.wait(arrivals.read_again(ws, arrival, Overrides(encoding, delimiter, sheet, headless)), 2.0)
        st.rerun()


def choose(staging: Staging, found: Preview, token: str) -> Choices:
    """Everything a person can choose, beginning with what was guessed or chosen before."""
    start = found.choices
    if found.before:
        desk = f" for {found.before.name}" if found.before.name else ""
        st.caption(layout.plain(f"Files of this shape were imported before{desk}: the choices made then are offered again."))
        if st.toggle("Start from a fresh guess instead", key=f"fresh-{token}"):
            start = Choices(found.guess.columns, layout=found.guess.layout)
    kind = st.segmented_control("In this file", list(LAYOUTS), default=start.layout, required=True,
                                key=f"layout-{token}-{start.layout}", format_func=LAYOUTS.__getitem__)
    chosen = _columns(staging, found, start, kind, token)
    made = replace(start, columns=chosen, layout=kind)
    if kind == "message" and chosen.sender:
        senders = list(staging.values(chosen.sender, SHOWN_VALUES))
        likely = start.agents or columns.agents_among(chosen.sender, senders)
        made = replace(made, agents=tuple(st.multiselect(
            "Who is the agent?", senders, default=[value for value in likely if value in senders],
            key=f"agents-{token}-{chosen.sender}", help="Everybody else is the customer.")))
    return _more(_rows(staging, made, token), token)


def outlook(found: Outlook) -> None:
    """What the import would do, in numbers that add up."""
    st.markdown(f"**{count(found.conversations, 'new conversation')}.** {_sum(found)}")
    if found.reasons:
        st.caption(layout.plain("Left out: " + ", ".join(f"{number:,} {reason}" for reason, number
                                                         in list(found.reasons.items())[:6]) + "."))


def report(done: Report, reasons: Mapping[str, int]) -> None:
    """What became of every row of a past import."""
    st.markdown(f"**{count(done.conversations, 'conversation')}** came in. {_sum(done)}")
    if reasons:
        st.caption(layout.plain("Filtered: " + ", ".join(f"{number:,} {reason}" for reason, number in reasons.items()) + "."))


def refused(ws: Workspace, done: Report) -> None:
    """Rows that were not imported: where they are, why, how they begin; all of them as a file, made when it is asked for."""
    total = done.rows_refused
    if not total:
        return

    def listed(limit: int) -> list[dict[str, str | int]]:
        return [{"line": row.line, "reason": row.reason, "begins with": row.excerpt, "file": row.source_name}
                for row in intake.refused_rows(ws, done.import_id, limit)]

    with st.expander(f"{count(total, 'refused row')}, with line number and reason", expanded=total <= 20):
        st.dataframe(listed(SHOWN_ROWS), hide_index=True, alt="Refused rows")
        st.download_button("Download all of them", lambda: exports.csv_text(listed(total)), "refused-rows.csv", "text/csv",
                           on_click="ignore")


def portrait(seen: Portrait) -> None:
    """What came in, in sentences and charts."""
    st.subheader("What the data looks like", anchor=False)
    lines = [f"A customer's first message has {seen.question.median:,} words in the middle (90 % have {seen.question.low:,} to "
             f"{seen.question.high:,}), an answer {seen.answer.median:,} ({seen.answer.low:,} to {seen.answer.high:,})."]
    if seen.threads:
        lines.append(f"{count(seen.threads, 'conversation')} have more than one answer.")
    if seen.repeated_answers:
        lines.append(f"{share(seen.repeated_answers, seen.conversations)} answers stand word for word in another conversation "
                     "too.")
    st.markdown(layout.plain(" ".join(lines)))
    left, right = st.columns(2, gap="large")
    with left:
        charts.lengths(LENGTH_STEPS, seen.question_steps, seen.answer_steps)
        if len(seen.months) > 1:
            charts.months(seen.months)
    with right:
        if seen.tags:
            charts.topics(seen.tags)
        if seen.ratings:
            charts.ratings(seen.ratings)


def checks(ws: Workspace) -> None:
    """Whether what came in was checked, what was found, and whether it is worth training on."""
    st.subheader("What the checks say", anchor=False)
    finding_view.newest_check(ws)
    newest = runs.latest_check(ws)
    if newest is None:
        return
    finding_view.answer_worth(newest)
    counts = findings.kinds(ws)
    by_group = {group: sum(one.open for one in counts if one.kind.group == group) for group in findings.GROUPS}
    st.markdown("Open in the whole workspace: " + ", ".join(f"{number:,} {group}" for group, number in by_group.items())
                + (" findings." if sum(by_group.values()) else " findings: nothing is left to settle."))
    layout.go("Settle them on Clean", "pages/clean.py")


def table(done: Sequence[Report]) -> list[dict[str, str | int]]:
    """Past imports, one a row."""
    return [{"file": one.source_name, "rows": one.rows_in, "imported": one.rows_imported, "updated": one.rows_updated,
             "filtered": one.rows_filtered, "refused": one.rows_refused,
             "already here": one.rows_already_here + one.rows_kept_by_hand, "conversations": one.conversations} for one in done]


def _sum(found: Outlook | Report) -> str:
    """All rows as the sum of what became of them; the rarer fates only where they happened."""
    parts = [(found.rows_imported, "imported"), (found.rows_filtered, "filtered"), (found.rows_refused, "refused"),
             (found.rows_already_here, "already here")]
    rarer = [(found.rows_updated, "updated, changed at the desk"), (found.rows_kept_by_hand, "edited here, left as they are")]
    said = " + ".join(f"{number:,} {word}" for number, word in parts + [part for part in rarer if part[0]])
    return f"{found.rows_in:,} rows = {said}."


def _columns(staging: Staging, found: Preview, start: Choices, kind: Layout, token: str) -> Columns:
    chosen = Columns()
    with st.container(horizontal=True):
        for role in FIRST[kind]:
            chosen = chosen.changed(role, _column(staging, found, start, kind, role, token))
    with st.expander("More columns", icon=":material/view_column:"), st.container(horizontal=True):
        for role in MORE[kind]:
            chosen = chosen.changed(role, _column(staging, found, start, kind, role, token))
    return chosen


def _column(staging: Staging, found: Preview, start: Choices, kind: Layout, role: str, token: str) -> str | None:
    needed = role in ("message", "answer", "sender")
    label = {"message": "Text", "conversation": "Turns"}.get(kind, LABELS[role]) if role == "message" else LABELS[role]
    wanted = getattr(start.columns, role)
    sure = found.guess.confidence.get(role)
    why = f"Guessed with {sure:.0%} confidence: {found.guess.why[role]}." if sure is not None else None
    with st.container(width=195, gap="xxsmall"):
        column: str | None = st.selectbox(label, staging.columns, index=layout.place(staging.columns, wanted),
                                          placeholder="choose one" if needed else "none", help=why,
                                          key=f"column-{role}-{kind}-{token}-{wanted}")
        example = next((row[column] for row in found.head if row[column].strip()), "") if column else ""
        unsure = sure is not None and sure <= 0.8 and column == getattr(found.guess.columns, role)
        mark = ":material/help: a guess: " if unsure else ""
        st.caption(mark + layout.plain(excerpt(example, 60)) if column else "not used")
    return column


def _rows(staging: Staging, made: Choices, token: str) -> Choices:
    """Which rows come in: by rating, by time, by status, by the values of any column."""
    with st.expander("Which rows come in", icon=":material/filter_alt:", expanded=made.columns.rating is not None):
        made = _rating(staging, made, token) if made.columns.rating else replace(made, rating_min=None, keep_unrated=True)
        days = intake.days(staging, made.columns.time) if made.columns.time else None
        if days:
            picked = st.date_input("From and until", value=(made.since or days[0], made.until or days[1]), min_value=days[0],
                                   max_value=days[1], key=f"days-{token}-{made.columns.time}")
            since, until = picked if isinstance(picked, tuple) and len(picked) == 2 else days
            made = replace(made, since=since if since > days[0] else None, until=until if until < days[1] else None)
        made = replace(made, conditions=_conditions(staging, made, token))
    return made


def _rating(staging: Staging, made: Choices, token: str) -> Choices:
    scale = intake.scale(staging, str(made.columns.rating))
    left, right = st.columns([2, 3], gap="medium")
    with left:
        what = {"numbers": f"numbers from {scale.low:g} to {scale.high:g}", "words": "words, read as 1 (worst) to 5 (best)",
                "thumbs": "thumbs, read as 0 (down) and 1 (up)"}[scale.kind]
        step = 1.0 if all(number == int(number) for number in scale.numbers.values()) else 0.1
        begin = min(scale.high, max(scale.low, made.rating_min or scale.suggested))
        lowest = st.number_input("Lowest rating to import", value=begin, min_value=scale.low, max_value=scale.high, step=step,
                                 help=f"This column holds {what}.",
                                 key=f"rating-{token}-{made.columns.rating}")
        unrated = st.checkbox("Also import conversations without a rating", key=f"unrated-{token}",
                              value=made.keep_unrated and made.rating_min is not None)
        if scale.unread:
            words = ", ".join(f"“{excerpt(value, 24)}” ({number:,})" for value, number in list(scale.unread.items())[:4])
            st.caption(layout.plain(f"Not read as a rating: {words}; they count as unrated."))
    with right:
        counted = staging.values(str(made.columns.rating), 20_000)
        charts.ratings({scale.numbers[value]: 0 for value in scale.numbers} | _by_number(scale.numbers, counted), lowest)
    return replace(made, rating_min=lowest, keep_unrated=unrated)


def _by_number(numbers: dict[str, float], counted: dict[str, int]) -> dict[float, int]:
    found: dict[float, int] = {}
    for value, number in numbers.items():
        found[number] = found.get(number, 0) + counted.get(value, 0)
    return found


def _conditions(staging: Staging, made: Choices, token: str) -> tuple[Condition, ...]:
    """Any column's values, the status first."""
    likely = [condition.column for condition in made.conditions]
    picked = st.multiselect("Only certain values of", staging.columns, key=f"by-{token}",
                            default=[name for name in likely if name in staging.columns],
                            placeholder="choose columns, a status or a channel for example")
    before = {condition.column: condition.values for condition in made.conditions}
    found = []
    for column in picked:
        values = staging.values(column, SHOWN_VALUES)
        options = [*values, ""]
        named = {value: f"{excerpt(value, 40)} ({number:,})" for value, number in values.items()} | {"": "(empty)"}
        wanted = st.multiselect(layout.plain(f"{column} is one of"), options, format_func=named.__getitem__,
                                default=[value for value in before.get(column, ()) if value in options],
                                key=f"values-{token}-{column}")
        if wanted:
            found.append(Condition(column, tuple(wanted)))
    return tuple(found)


def _more(made: Choices, token: str) -> Choices:
    with st.expander("System prompt, threads, help desk", icon=":material/more_horiz:"):
        prompt = st.text_area("System prompt", made.system_prompt, height=80, key=f"prompt-{token}",
                              help="Put before every conversation, in training and in use. Leave it empty for none.")
        join, subject = made.join, made.with_subject
        if made.columns.ticket and made.layout == "ticket":
            join = st.checkbox("Rows with the same ticket id are one conversation", value=made.join, key=f"join-{token}")
        if made.columns.subject and made.layout == "ticket":
            subject = st.checkbox("Put the subject above the customer's message", value=made.with_subject,
                                  key=f"subject-{token}")
        desk = st.text_input("Help desk", made.desk, key=f"desk-{token}", max_chars=60,
                             placeholder="one for all files of this shape",
                             help="Ticket ids are unique within a help desk. A newer export of the same desk adds what is new "
                                  "and updates what changed. These choices are remembered under this name.")
        synthetic = st.checkbox("A model wrote these answers", value=made.synthetic, key=f"synthetic-{token}",
                                help="A snapshot's card says which share of its lines is synthetic.")
    return replace(made, system_prompt=prompt, join=join, with_subject=subject, desk=desk, synthetic=synthetic)
