"""What pages share on the screen: the head with the loop strip, empty states, errors, conversations, runs."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from studio import loop, made, runs
from studio.errors import StudioError
from studio.loop import Stage
from studio.records import Record
from studio.runs import Run
from studio.ui import session, sitemap
from studio.ui.formats import ago, clock, duration, excerpt, rate
from studio.workspace import Workspace

STATE_COLOURS = {"starting": "gray", "running": "blue", "done": "green", "failed": "red", "stopped": "orange",
                 "lost": "red"}
STATE_ICONS = {"starting": ":material/hourglass_top:", "running": ":material/autorenew:", "done": ":material/check:",
               "failed": ":material/error:", "stopped": ":material/stop_circle:", "lost": ":material/link_off:"}
SAVES_NOTHING = ("look", "connect", "quote", "service_files", "preview", "validate", "push")
ROLE_NAMES = {"system": "System prompt", "user": "Customer", "assistant": "Agent"}
POLL_SECONDS = 2.0
T = TypeVar("T")


def header(ws: Workspace, title: str, sentence: str, stage: str = "") -> None:
    """A page's head: its title, the loop strip with the stage one is in, and what the page is for."""
    st.title(title, anchor=False)
    strip(loop.stages(ws), stage)
    if sentence:
        st.caption(sentence)


def strip(stages: Sequence[Stage], here: str) -> None:
    """imported → kept → labelled → frozen → trained → proven → live, with counts; each a link; what blocks the next."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="loop-strip"):
        for place, stage in enumerate(stages, start=1):
            words = f"**{stage.label} {stage.count:,}**" if stage.key == here else f"{stage.label} {stage.count:,}"
            mark = ":material/check_circle:" if stage.done else ":material/radio_button_unchecked:"
            words += "" if place == len(stages) else " →"
            if not sitemap.reaches(stage.page_path):
                st.markdown(f"{mark} {words}", width="content")
                continue
            st.page_link(sitemap.page(stage.page_path), label=words, icon=mark, query_params=session.here(),
                         help=f"Not yet: {stage.blocked}." if stage.blocked and not stage.done else None)
    blocked = next((stage for stage in stages if stage.blocked and not stage.done), None)
    if blocked is not None and here == blocked.key:
        st.caption(f":material/block: Nothing can be {blocked.label} yet: {blocked.blocked}.")


def empty(sentence: str, button: str = "", page_path: str = "") -> None:
    """An empty state: what this is for, and one thing to do about it."""
    with st.container(border=True):
        st.markdown(sentence)
        if button:
            go(button, page_path, primary=True)


def go(label: str, page_path: str, query: Mapping[str, str] | None = None, primary: bool = False) -> None:
    """A button that opens another page; nothing where that page is not for who is here."""
    kind, key = "primary" if primary else "secondary", f"go-{label}-{page_path}-{query or ''}"
    if sitemap.reaches(page_path) and st.button(label, type=kind, key=key):  # type: ignore[arg-type]
        st.switch_page(sitemap.page(page_path), query_params=session.here(query))


def watch(ws: Workspace, run: Run, said: str, stop: str) -> None:
    """How far a run is, with a button that stops it, or how it ended. `said` stands beside its state."""
    with st.container(horizontal=True, vertical_alignment="center"):
        state_badge(run)
        st.caption(plain(said))
    if run.moving:
        progress(run)
        if session.may("run") and st.button(stop, key=f"stop-{run.run_id}"):
            runs.stop(ws, run.run_id)
    else:
        run_end(ws, run)


def open_page(page_path: str, query: Mapping[str, str]) -> None:
    """Leave for another page now."""
    st.switch_page(sitemap.page(page_path), query_params=session.here(query))


def link(label: str, page_path: str, query: Mapping[str, str] | None = None) -> None:
    """A link to another page; only its words where that page is not for who is here."""
    if not sitemap.reaches(page_path):
        st.markdown(label)
        return
    st.page_link(sitemap.page(page_path), label=label, query_params=session.here(query))


@contextmanager
def guarded() -> Iterator[None]:
    """The one place where an error meant for people becomes words on the page; a bug stays a traceback."""
    try:
        yield
    except StudioError as failed:
        error(failed)


def fragment(draw: Callable[[], None]) -> None:
    """A part of the page that is drawn anew by itself: what is pressed in it reruns this much and no more."""
    def part() -> None:
        with guarded():
            draw()

    st.fragment(part)()


def error(failed: StudioError) -> None:
    """What is wrong, and what to do."""
    st.error(f"**{plain(failed.message)}**" + (f"\n\n{plain(failed.hint)}" if failed.hint else ""), icon=":material/error:")


def refresh_while(moving: bool, draw: Callable[[], None], seconds: float = POLL_SECONDS) -> None:
    """Draw now, and again every two seconds (or so) while something moves; the page around it stays as it is."""
    def part() -> None:
        with guarded():
            draw()

    st.fragment(run_every=seconds if moving else None)(part)()


_SEAMS = re.compile(r"(?<=http)(?=s?://)|(?<=www)(?=\.)|(?<=[\w.+-])(?=@\w)|(?<=:)(?=material/|streamlit:)", re.IGNORECASE)
"""Where Streamlit's Markdown finds addresses and icons although every mark is escaped: it looks through what it has read."""


def plain(text: str) -> str:
    """Text from data, made safe to stand inside Markdown: no formatting, links, icons or formulas come from it."""
    parts = _SEAMS.split(text)
    for mark in "\\`*_{}[]()#+-!|<>$:~":
        parts = [part.replace(mark, f"\\{mark}") for part in parts]
    return ":small[]".join(parts)  # draws nothing and parts the text in two, so that no address is found, yet it copies whole


def hidden_note() -> None:
    """Under texts, for who may not read personal data: why letters are hidden."""
    if not session.may("raw"):
        st.caption("█ hides personal data that is open, and records that were not checked for it as they are. A curator "
                   "settles both on the Clean page.")


def conversation(messages: Sequence[Mapping[str, str]], answer_name: str = "Agent") -> None:
    """Turns one under the other, told apart by label and place; the text is shown as it is, never run."""
    parts = []
    for turn in messages:
        name = answer_name if turn["role"] == "assistant" else ROLE_NAMES[turn["role"]]
        parts.append(f'<div class="tw-turn tw-{html.escape(turn["role"])}"><div class="tw-who">{html.escape(name)}</div>'
                     f'<div class="tw-said">{html.escape(turn["content"])}</div></div>')
    st.html("".join(parts))


def state_badge(run: Run) -> None:
    st.badge(run.state, icon=STATE_ICONS[run.state], color=STATE_COLOURS[run.state])  # type: ignore[arg-type]


def progress(run: Run) -> None:
    """How far a moving run is, at what rate, and when it ends."""
    status = run.status
    if status is None or run.state == "starting":
        st.progress(0.0, text="Starting its process…")
        return
    words = [status.sentence or status.phase]
    if status.total and status.unit:
        words.append(f"{status.done:,} of {status.total:,} {status.unit}")
    if status.rate:
        words.append(rate(status.rate, status.unit))
    if status.eta_s and run.ends_at:
        now = datetime.now(UTC).replace(tzinfo=None)
        words.append(f"{duration(status.eta_s)} left, until about {clock(run.ends_at, now, session.zone())}")
    st.progress(min(1.0, status.done / status.total) if status.total else 0.0, text=plain(" · ".join(words)))


def run_end(ws: Workspace, run: Run) -> None:
    """How a run ended, in words; for one that did not get done, its log and the way on."""
    if run.state == "lost":
        st.error("**The run's process is gone without a word:** it was killed, or the machine went down. "
                 "Nothing else was harmed. Resume goes on from what it had saved.", icon=":material/link_off:")
    elif run.result is not None:
        show = {"done": st.success, "failed": st.error, "stopped": st.warning}[run.result.outcome]
        show(f"**{plain(run.result.message)}**" + (f"\n\n{plain(run.result.hint)}" if run.result.hint else ""))
    if not run.resumable or not session.may("run"):
        return
    label = "Try again" if run.state == "failed" and run.kind in SAVES_NOTHING else "Resume from what it saved"
    if st.button(label, type="primary", key=f"resume-{run.run_id}"):
        runs.resume(ws, run.run_id)
        st.rerun()


def log(ws: Workspace, run: Run) -> None:
    """The end of the child's log, open where it is the only explanation; it may hold texts as they came."""
    if not session.may("raw"):
        return
    with st.expander("Log", icon=":material/article:", expanded=run.state == "lost"):
        st.code(runs.log_tail(ws, run) or "The log is empty.", language=None, wrap_lines=True)


def live_run(ws: Workspace, run_id: str, draw: Callable[[Run], None]) -> None:
    """Draw a run as it stands now, again and again while it moves; when it ends its result is collected at once."""
    first = runs.get(ws, run_id)

    def part() -> None:
        run = runs.get(ws, run_id)
        if first.moving and not run.moving:
            runs.collect(ws)
            st.rerun()
        draw(run)

    refresh_while(first.moving, part)


def place(options: Sequence[str], wanted: str | None) -> int | None:
    """Where a wanted option stands, None when it is not among them (an address can name what is gone)."""
    return options.index(wanted) if wanted in options else None


def page_of(found: Sequence[T], size: int, key: str) -> Sequence[T]:
    """The part of a list that is shown, with a field to turn its pages where it is longer."""
    pages = max(1, -(-len(found) // size))
    page = int(st.number_input(f"Page of {pages:,}", 1, pages, 1, width=130, key=f"page-{key}-{pages}")) if pages > 1 else 1
    return found[(page - 1) * size : page * size]


def run_line(ws: Workspace, run: Run) -> None:
    """One run in short: its state and when it began, its name as a link."""
    with st.container(gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            state_badge(run)
            where = f" · on {plain(run.where)}" if run.where else ""
            st.caption(f"{run.kind} · {ago(run.started_at, ws.now())}{where}", width="content")
        link(plain(excerpt(run.title, 42)), "pages/runs.py", {"run": run.run_id})


def numbers(names: Iterable[str]) -> dict[str, ColumnConfig]:
    """Columns of written numbers (with intervals or units): to the right, as numbers are."""
    return {name: st.column_config.TextColumn(alignment="right") for name in names}


def address(path: str) -> str:
    """A page's address, for link columns of tables: it opens in the workspace that it was drawn in."""
    return session.address(path)


def record_address(record_id: str) -> str:
    """The address of one record, for link columns of tables."""
    return address(f"/curate?record={record_id}")


def record_column() -> ColumnConfig:
    return st.column_config.LinkColumn("record", display_text=r"record=([^&]*)", help="Open the record")


def one_record(ws: Workspace, record: Record) -> None:
    """A single record, opened from a number somewhere else."""
    origin = made.origins(ws, [record.record_id]).get(record.record_id)
    where = origin.words if origin else f"line {record.source_line} of its file" if record.source_line else "written here"
    st.caption(plain(f"Record {record.record_id}, {where}, wording {record.version}, {record.decision}"))
    conversation(record.messages)
    if st.button("Back to all records"):
        st.query_params.clear()
        st.rerun()
