"""Cards of duplicate groups and of conflicts: what stays on the left, its twins on the right, words that differ marked.

Text from data is escaped here and never run.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from studio import conflicts, duplicate_groups, keepers, word_diff
from studio.conflicts import Answer, Conflict
from studio.duplicate_groups import Group, Member, Pair
from studio.keepers import Fold, Plan
from studio.records import Record
from studio.ui import layout
from studio.ui.formats import count
from studio.workspace import Workspace

WORDINGS = 6
"""Wordings of a group shown at once."""
LISTED = 500
LINES, FEWER_LINES, CHARACTERS = 10, 5, 60
"""Lines of a compared text and of the other side that are shown (see studio.css), and about how many characters one has."""


OTHERS = {"question": ("Agent", "assistant"), "answer": ("Customer", "user")}


@dataclass(frozen=True)
class Loaded:
    """What the cards of a page need: the texts on the screen, and how alike each that falls is to the one it falls for."""

    members: dict[str, Member]
    alike: dict[tuple[str, str], Pair]
    measured: Mapping[str, str]


def groups(ws: Workspace, shown: Sequence[Group], plan: Plan, measured: Mapping[str, str], who: str) -> None:
    """The groups of one page, each in its frame; `measured` says what each kind of twins was measured by."""
    places = [st.container(border=True) for _ in shown]
    parts = []
    for place, group in zip(places, shown, strict=True):
        with place:
            with st.container(horizontal=True, vertical_alignment="center"):
                _head(group)
                _acts(ws, group, plan, who)
            parts.append(_part(group, plan.of(group.group_id)))
    loaded = _load(ws, plan, parts, measured)
    for place, group, folds in zip(places, shown, parts, strict=True):
        with place:
            for stays, fallen in _blocks(plan, folds):
                _block(ws, group, plan, stays, fallen, loaded, who)
            if st.checkbox(f"List all {count(group.members, 'record')}", key=f"list-{group.key}", value=not group.standing):
                _table(duplicate_groups.everyone(ws, plan.side, group.group_id, LISTED), group)


def conflict(ws: Workspace, one: Conflict, who: str) -> None:
    """One conflict: its answers two by two, words that differ from the first one marked."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{count(one.group.standing, 'record')} ask the same, {len(one.answers) + one.more:,} answers** · "
                        f"questions up to {one.alike:.2f} alike")
            if st.button("All of them are right", key=f"right-{one.group.key}", icon=":material/done_all:",
                         help="They differ, and that is well. Not asked about again until the group changes."):
                conflicts.all_right(ws, one, who)
                st.rerun()
        for first in range(0, len(one.answers), 2):
            for column, place in zip(st.columns(2, gap="medium"), range(first, min(first + 2, len(one.answers))), strict=False):
                with column, st.container(gap="xxsmall"):
                    _answer(ws, one, place, who)
        if one.more:
            st.caption(f"{one.more:,} more answers are not shown: each is given by no more records than these. What you keep "
                       "drops them too, where their questions are twins.")


def said(fallen: int) -> None:
    """What became of a press, for a toast; then the page is drawn anew."""
    st.toast(f"Dropped {count(fallen, 'record')}. Undo takes it back.")
    st.rerun()


def _head(group: Group) -> None:
    words = [f"**{count(group.members, 'record')}**, {count(group.texts, 'wording')}",
             f"each at least {group.similarity:.2f} alike" if group.similarity < 1 else "the same word for word"]
    if group.spread:
        words.append(f"ratings {group.spread:g} apart")
    if dropped := group.members - group.standing - group.reworded:
        words.append(f"{dropped:,} dropped")
    if group.reworded:
        words.append(f"{group.reworded:,} reworded since the search and not counted")
    st.markdown(" · ".join(words))


def _part(group: Group, folds: list[Fold]) -> list[Fold]:
    """The wordings of a group that are on the screen: all, or those of one part of a large one."""
    parts = -(-len(folds) // WORDINGS)
    if len(folds) <= WORDINGS + 3:
        return folds
    with st.container(horizontal=True, vertical_alignment="bottom"):
        part = int(st.number_input(f"Part, 1 to {parts:,}", 1, parts, 1, width=150, key=f"part-{group.key}"))
        first = (part - 1) * WORDINGS
        st.caption(f"Wordings {first + 1:,} to {min(len(folds), first + WORDINGS):,} of {len(folds):,}; word-for-word copies "
                   "are folded.", width="content")
    return folds[first : first + WORDINGS]


def _blocks(plan: Plan, folds: Sequence[Fold]) -> list[tuple[Fold, list[Fold]]]:
    """One that stays with those that fall for it, which may stand on another part of the group."""
    found: dict[str, tuple[Fold, list[Fold]]] = {}
    for fold in folds:
        if fold.stays_for not in found:
            found[fold.stays_for] = (plan.fold_of(fold.stays_for) if fold.beside else fold, [])
        if fold.beside:
            found[fold.stays_for][1].append(fold)
    return list(found.values())


def _load(ws: Workspace, plan: Plan, parts: Sequence[Sequence[Fold]], measured: Mapping[str, str]) -> Loaded:
    folds = [fold for part in parts for fold in part]
    ids = dict.fromkeys(record_id for fold in folds for record_id in (fold.record_id, fold.stays_for, *fold.some))
    ends = [(fold.text, fold.stays_text) for fold in folds if fold.beside]
    return Loaded({member.record.record_id: member for member in duplicate_groups.members(ws, plan.side, list(ids))},
                  duplicate_groups.likeness(ws, plan.side, ends) if ends else {}, measured)


def _block(ws: Workspace, group: Group, plan: Plan, stays: Fold, fallen: Sequence[Fold], loaded: Loaded, who: str) -> None:
    keeper, proposes = loaded.members[stays.record_id], plan.rule != "hand"
    left, right = st.columns(2, gap="medium")
    with left, st.container(gap="xxsmall", key=f"tw-beside-{stays.record_id}"):
        word = "Stays" if proposes else "Member"
        alone = ["unlike the others that stay"] if proposes and not fallen and group.texts > 1 else []
        _box([word, *alone, *_facts(keeper.record, keeper.source)], _texts(keeper.record, plan.side, None),
             "tw-stays" if proposes else "")
        _copies(stays, proposes)
        _choices(ws, group, plan, stays, who)
    if not fallen and stays.some and plan.side in OTHERS:
        with right:
            _others(stays, plan.side, loaded)
    for fold in fallen:
        with right, st.container(gap="xxsmall"):
            member, pair = loaded.members[fold.record_id], loaded.alike.get((fold.text, fold.stays_text))
            alike = f"{pair.similarity:.2f} alike{loaded.measured[pair.kind]}" if pair else "word for word"
            _box([f"{'Falls' if proposes else 'Twin'}, {alike}", *_facts(member.record, member.source)],
                 _texts(member.record, plan.side, keeper.record))
            _copies(fold, proposes)
            _choices(ws, group, plan, fold, who)


def _others(fold: Fold, side: str, loaded: Loaded) -> None:
    """What stands on the other side of some word-for-word copies: other questions to one answer, or other answers to one."""
    name, role = OTHERS[side]
    lines = "".join(f'<div class="tw-said tw-other"><span class="tw-label">{name}: </span>'
                    f"{html.escape(_turns(loaded.members[record_id].record, role))}</div>" for record_id in fold.some)
    more = fold.copies - len(fold.some)
    _box([f"{len(fold.some)} of the copies" if more else "The copies", *([f"{more:,} more are folded"] if more else [])], lines)


def _copies(fold: Fold, proposes: bool) -> None:
    if fold.copies:
        kept, fall = fold.copies - fold.copies_fall, fold.copies_fall
        fates = [f"{fall:,} fall{'s' if fall == 1 else ''}" if fall else "", f"{kept:,} marked keep stay" if kept else ""]
        fate = f": {', '.join(filter(None, fates))}" if proposes else ""
        st.caption(f"and {count(fold.copies, 'word-for-word copy', 'word-for-word copies')}{fate}")


def _choices(ws: Workspace, group: Group, plan: Plan, fold: Fold, who: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if group.state == "open" and st.button(
                "Keep this one", key=f"keep-{group.key}-{fold.record_id}", icon=":material/push_pin:", type="tertiary",
                help="It stays; the records of this group that are its own twins are dropped."):
            said(keepers.keep_this(ws, plan.side, group, fold.record_id, who))
        layout.link("Open", "pages/curate.py", {"record": fold.record_id})


def _acts(ws: Workspace, group: Group, plan: Plan, who: str) -> None:
    fall = len(plan.drops_of(group.group_id))
    if group.state == "open":
        if st.button(f"Accept: drop {count(fall, 'record')}", key=f"accept-{group.key}-{plan.key}", icon=":material/check:",
                     disabled=not fall):
            said(keepers.accept(ws, plan, who, group.group_id))
        if st.button("No twins", key=f"none-{group.key}", icon=":material/call_split:",
                     help="These are different things. Not asked about again until the group changes."):
            duplicate_groups.dismiss(ws, plan.side, group, who)
            st.rerun()
    elif group.state == "dismissed" and st.button("Ask about it again", key=f"again-{group.key}"):
        duplicate_groups.take_back(ws, plan.side, group, who)
        st.rerun()


def _table(members: Sequence[Member], group: Group) -> None:
    st.dataframe([{"decision": m.record.decision, "similarity": m.similarity, "rating": m.record.rating,
                   "date": m.record.happened_at, "source": m.source, "tags": m.record.tags, "customer": m.record.question[:160],
                   "agent": m.record.answer[:160], "record": layout.record_address(m.record.record_id)} for m in members],
                 hide_index=True, alt="Records of the group",
                 column_config={"record": layout.record_column(), "similarity": st.column_config.NumberColumn(format="%.2f"),
                                "date": st.column_config.DateColumn()})
    if group.members > len(members):
        st.caption(f"The first {len(members):,} of {group.members:,} are listed.")


def _answer(ws: Workspace, one: Conflict, place: int, who: str) -> None:
    shown, first = one.answers[place], one.answers[0]
    asked = _compared(shown.record.question, first.record.question if place else None)
    answered = _compared(shown.record.answer, first.record.answer if place else None)
    _box([f"Given {shown.given:,} times" if shown.given > 1 else "Given once", *_facts(shown.record, shown.source)],
         f'<div class="tw-said"{_focus(shown.record.answer, "Answer")}>{answered}</div>'
         f'<div class="tw-said tw-other"><span class="tw-label">Asked: </span>{asked}</div>')
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Keep this answer", key=f"answer-{one.group.key}-{shown.record.record_id}", disabled=not shown.falls,
                     icon=":material/push_pin:", help=_keeps(shown)):
            said(conflicts.keep_answer(ws, one, shown, who))
        layout.link("Open", "pages/curate.py", {"record": shown.record.record_id})
        st.caption(_keeps(shown), width="content")


def _keeps(one: Answer) -> str:
    """What keeping an answer does."""
    if not one.falls:
        return "No other record of the group asks nearly the same."
    return f"Drops {count(one.falls, 'record')}" + (f", {one.marked:,} marked keep" if one.marked else "") + "."


def _facts(record: Record, source: str) -> list[str]:
    words = ["not rated" if record.rating is None else f"rated {record.rating:g}"]
    if record.happened_at is not None:
        words.append(f"{record.happened_at:%d %b %Y}")
    return [*words, source, *(["marked keep"] if record.decision == "keep" else [])]


def _box(words: Sequence[str], inside: str, kind: str = "") -> None:
    first, *rest = map(html.escape, words)
    facts = f'<span class="tw-facts"> · {" · ".join(rest)}</span>' if rest else ""
    st.html(f'<div class="tw-turn tw-twin {kind}"><div class="tw-who">{first}{facts}</div>{inside}</div>')


def _texts(record: Record, side: str, keeper: Record | None) -> str:
    """Both sides of a record, the compared one first; with what differs from the keeper's marked."""
    roles = {"Customer": "user", "Agent": "assistant"}
    names = ["Agent", "Customer"] if side == "answer" else ["Customer", "Agent"]
    parts = []
    for place, name in enumerate(names):
        text = _turns(record, roles[name])
        shown = _compared(text, _turns(keeper, roles[name]) if keeper else None)
        parts.append(f'<div class="tw-said{" tw-other" if place else ""}"{_focus(text, name, FEWER_LINES if place else LINES)}>'
                     f'<span class="tw-label">{name}: </span>{shown}</div>')
    return "".join(parts)


def _turns(record: Record, role: str) -> str:
    return "\n".join(turn["content"] for turn in record.messages if turn["role"] == role)


@st.cache_data(max_entries=4_000, show_spinner=False)
def _compared(text: str, against: str | None) -> str:
    """Escaped HTML of a text; against another one, what it has more in `<ins>`, what it lacks in `<del>`."""
    return html.escape(text) if against is None or against == text else word_diff.merged(against, text)


def _focus(text: str, name: str, lines: int = LINES) -> str:
    """A text that scrolls inside its box takes the keyboard's focus, under a name."""
    scrolls = len(text) > CHARACTERS * lines or text.count("\n") >= lines
    return f' tabindex="0" role="region" aria-label="{name}"' if scrolls else ""
