"""The Twins page's controls: who stays, which groups in which order, page by page, and what a rule costs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio import duplicate_groups, duplicates, keepers
from studio.duplicate_groups import STATES, Order, State, Tally
from studio.keepers import RULES, Plan, Rule, Slice
from studio.ui import layout, twin_search
from studio.ui.formats import count, share
from studio.workspace import Workspace

RULE_NAMES: dict[Rule, str] = {"rated": "Best rated", "newest": "Newest", "longest": "Longest", "central": "Most central",
                               "hand": "By hand"}
RULE_WORDS: dict[Rule, str] = {
    "rated": "The highest rating stays, unrated ones last.",
    "newest": "The latest date stays; without dates, what came in last.",
    "longest": "The conversation with the most characters stays.", "central": "The one that resembles most of its group stays.",
    "hand": "Nothing is proposed: choose in each group."}
STATE_NAMES: dict[State, str] = {"open": "Open", "settled": "Settled", "dismissed": "No twins"}
ORDER_NAMES: dict[Order, str] = {"size": "Largest first", "similarity": "Most alike first", "spread": "Ratings apart"}
NOTHING = {"open": "Nothing is open: in every group at most one of each two twins is left, or you said that they are none.",
           "settled": "No group is settled yet.", "dismissed": "You called no group \"no twins\"."}


def nothing(state: State, tally: Tally) -> None:
    """Why a list of groups is empty."""
    if tally.groups:
        st.success(NOTHING[state], icon=":material/check:")
    else:
        st.info("No twins at these thresholds. Move the dial down to see texts that are less alike; texts of a few words are "
                "better compared by meaning.", icon=":material/info:")


def choose_rule() -> Rule:
    """Who stays."""
    rule = st.segmented_control("Who stays", list(RULES), default="rated", required=True, key="rule", bind="query-params",
                                format_func=RULE_NAMES.__getitem__,
                                help="Where two are equal, the one with the smaller id stays. Whoever falls is itself a twin "
                                     "of one that stays: in a chain of texts, both ends can stay.")
    return rule or "rated"


def spare_kept(rule: Rule) -> bool:
    """Whether records marked keep are left alone, behind what the rule does."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(RULE_WORDS[rule], width="content")
        return st.checkbox("Leave records marked keep alone", True, key="spare", disabled=rule == "hand",
                           help="They stay before all others in any case. Not ticked, one of two twins that are both marked "
                                "keep may fall, and that is said.")


def choose_groups() -> tuple[State, Order]:
    """Which groups, in which order."""
    state = st.segmented_control("Groups", list(STATES), default="open", required=True, key="groups", bind="query-params",
                                 format_func=STATE_NAMES.__getitem__, on_change=_first_page)
    order = st.selectbox("Order", list(ORDER_NAMES), key="order", bind="query-params", width=190,
                         format_func=ORDER_NAMES.__getitem__, on_change=_first_page)
    return state or "open", order


def page_number() -> int:
    """The page one is on, from the address; 1 where it says none."""
    said = st.query_params.get("page", "1")
    return int(said) if said.isdigit() and 0 < int(said) < 10**9 else 1


def pager(number: int, total: int, shown: int) -> None:
    """Back and on, below a list of `total` of which each page has `shown`."""
    pages = -(-total // shown)
    if pages <= 1 and number == 1:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, to, icon in (("Back", min(number - 1, pages), "arrow_back"), ("On", number + 1, "arrow_forward")):
            if st.button(label, key=f"page-{label}", disabled=not 1 <= to <= pages, icon=f":material/{icon}:"):
                st.query_params["page"] = str(to)
                st.rerun()
        st.caption(f"Page {number:,} of {pages:,}", width="content")


def losses(slices: Sequence[Slice]) -> None:
    """A warning for each small slice that would lose most of its rows; nothing where none does."""
    losing = [one for one in slices if one.shrinks]
    if not losing:
        return
    listed = "\n".join(f"- {one.by} **{layout.plain(one.name)}**: {one.before:,} → {one.after:,}" for one in losing[:6])
    more = f"\n- and {len(losing) - 6:,} more" if len(losing) > 6 else ""
    whose = "its" if len(losing) == 1 else "their"
    st.warning(f"**{count(len(losing), 'slice')} would lose most of {whose} rows and keep fewer than {keepers.FEW}:**\n"
               f"{listed}{more}", icon=":material/warning:")


def at_least(ws: Workspace, side: str) -> float:
    """From which similarity on twins fall, when all groups are settled in one act."""
    levels = duplicates.thresholds(ws, side)
    lowest = min(0.99, min(levels[kind] for kind in ("near", *duplicate_groups.kinds(ws, side))))
    return float(st.slider("Only twins at least this alike", lowest, 1.0, lowest, 0.01, width=460,
                           key=f"at-least-{side}-{lowest}",
                           help="1.00: word-for-word copies, and texts of the same sequences of words."))


def cost(plan: Plan, slices: Sequence[Slice], before: int) -> None:
    """How many fall, what becomes of every slice, and whether a small one would lose most of its rows."""
    fall = len(plan.drops)
    groups = count(plan.groups_touched, "group")
    st.markdown(f"Drops **{share(fall, before)}** records, out of {groups}; **{before - fall:,}** stay.")
    if plan.marked_drops:
        st.warning(f"{count(plan.marked_drops, 'record')} of them {'is' if plan.marked_drops == 1 else 'are'} marked keep.",
                   icon=":material/push_pin:")
    losses(slices)
    if fall and not any(one.shrinks for one in slices):
        st.caption(f":material/check: No slice loses most of its rows and is left with fewer than {keepers.FEW}.")
    for pair in (("tag", "source"), ("rating", "language")):
        for column, by in zip(st.columns(2, gap="medium"), pair, strict=True):
            with column:
                _slices([one for one in slices if one.by == by], by)


def conflicts_need(side: str) -> bool:
    """Conflicts are looked for among questions: says so elsewhere; True where one is right."""
    if side == "question":
        return True
    st.info("Conflicts are questions that are twins and were answered differently. Compare "
            f"**{twin_search.SIDE_NAMES['question']}** to see them.", icon=":material/info:")
    return False


def _slices(found: Sequence[Slice], by: str) -> None:
    warned = any(one.shrinks for one in found)
    rows = [{by: one.name, "before": one.before, "after": one.after, "lost": 100 * (one.before - one.after) / one.before}
            | ({"": "loses most" if one.shrinks else ""} if warned else {}) for one in found]
    st.markdown(f"**By {by}**")
    st.dataframe(rows, hide_index=True, height=320 if len(rows) > 8 else "auto", alt=f"Records before and after by {by}",
                 column_config={"lost": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100)})


def _first_page() -> None:
    st.query_params.pop("page", None)
