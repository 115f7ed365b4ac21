"""Before the start, the truth: will it fit, how long, at what cost, and what will be learned."""

from __future__ import annotations

import html
from collections.abc import Callable

import streamlit as st

from studio import previews, prices, starts
from studio.dials import METHODS, Dials
from studio.models import Model
from studio.previews import Part, Plan, Preview, Rendered
from studio.runs import Run
from studio.snapshots import Snapshot
from studio.ui import layout, run_charts, session
from studio.ui.formats import ago, count, duration, share
from studio.workspace import Workspace

EXAMPLES = 2


def before_start(ws: Workspace, snapshot: Snapshot, base: Model, said: Dials) -> None:
    """What a run with these dials would do, as it was looked at; or the button that looks."""
    st.subheader("Before the start, the truth", anchor=False)
    run = previews.newest(ws, starts.question(snapshot, base, said))
    if run is not None and run.moving:
        layout.live_run(ws, run.run_id, layout.progress)
        return
    if run is not None and run.state == "done":
        _show(ws, run, said, (snapshot, base, said))
        return
    if run is not None:
        layout.run_end(ws, run)
    st.caption("Will it fit into memory, how long will it take, what exactly will be learned? This reads the snapshot with the "
               "model's own tokenizer and computes nothing for long.")
    if st.button("Look before you start", icon=":material/visibility:"):
        starts.preview(ws, snapshot, base, said)
        st.rerun()


def _show(ws: Workspace, run: Run, said: Dials, again: tuple[Snapshot, Model, Dials]) -> None:
    found = previews.read(run)
    if refused := previews.refused_by(found, said.too_long):
        layout.error(refused)
    _verdict(found)
    price = prices.now(ws)
    numbers = [("Takes about", duration(found.plan.seconds) if found.plan.seconds else "not known"),
               ("Optimizer steps", f"{found.steps:,}"), ("Tokens a step", f"{found.step_tokens:,}"),
               ("Tokens learned an epoch", f"{found.train.learned_tokens:,}")]
    if price.per_hour and found.plan.seconds:
        numbers.insert(1, ("Costs about", price.words(found.plan.seconds)))
    with st.container(horizontal=True):
        for label, value in numbers:
            st.metric(label, value, width=165)
    st.caption(layout.plain(f"{found.plan.basis} {found.why}"))
    run_charts.memory(found)
    _table(found, price)
    with st.container(horizontal=True, vertical_alignment="center"):
        _ask_price(ws, price)
        if st.button("Look again", icon=":material/refresh:", help="The machine's free memory and speed as they are now."):
            starts.preview(ws, *again)
            st.rerun()
        st.caption(f"Looked {ago(run.started_at, ws.now())}.", width="content")
    _learned(ws, run, found, said)


def _verdict(found: Preview) -> None:
    """Does it fit, in one sentence with both numbers."""
    machine = layout.plain(str(found.machine["name"]))
    there = f"{found.machine['free_gib']:.1f} GiB that are free ({found.machine['memory_gib']:.1f} in all, {machine})"
    plan = found.plan
    if plan.fits:
        st.success(f"**It fits.** {_name(plan)} needs {plan.peak_gib:.1f} GiB at its highest, of {there}.",
                   icon=":material/check_circle:")
    else:
        st.error(f"**It does not fit.** Even {_name(plan)} needs {plan.peak_gib:.1f} GiB, of {there}.\n\n"
                 "Choose a smaller base model, a lower rank or a shorter longest example.", icon=":material/error:")


def _table(found: Preview, price: prices.Price) -> None:
    """The ways beside each other, a column each; the one that is taken has an arrow."""
    rows: list[dict[str, str]] = []
    for name, value in _ROWS:
        rows.append({"": name} | {_column(plan, found): value(plan) for plan in found.plans})
    if price.per_hour:
        rows.append({"": "costs"} | {_column(plan, found): price.words(plan.seconds) if plan.seconds else "not known"
                                     for plan in found.plans})
    with st.expander("The numbers, by method", icon=":material/table_rows:"):
        st.table(rows)


def _column(plan: Plan, found: Preview) -> str:
    return ("→ " if plan is found.plan else "") + _name(plan)


def _gib(part: str) -> Callable[[Plan], str]:
    return lambda plan: f"{plan.parts.get(part, 0.0):.2f} GiB"


_ROWS: tuple[tuple[str, Callable[[Plan], str]], ...] = (
    ("fits", lambda plan: "yes" if plan.fits else "no"), ("highest", lambda plan: f"{plan.peak_gib:.2f} GiB"),
    *((part, _gib(part)) for part in run_charts.PARTS),
    ("tokens at once", lambda plan: f"{plan.row_tokens:,}"),
    ("checkpointing", lambda plan: "on" if plan.checkpointing else "off"),
    ("tokens a second", lambda plan: f"{plan.tokens_s:,.0f}" if plan.tokens_s else "not known"),
    ("takes", lambda plan: duration(plan.seconds) if plan.seconds else "not known"))


def _name(plan: Plan) -> str:
    return METHODS[plan.method].split(",")[0]  # type: ignore[index]


def _ask_price(ws: Workspace, price: prices.Price) -> None:
    with st.popover("What an hour costs", icon=":material/payments:"):
        per_hour = st.number_input("Price of an hour of this machine", 0.0, None, price.per_hour, step=0.5,
                                   help="0: costs are not shown.")
        money = st.text_input("Currency", price.money, max_chars=12)
        if st.button("Keep this price"):
            with layout.guarded():
                prices.say(ws, float(per_hour), money, session.person())
                st.rerun()


def _learned(ws: Workspace, run: Run, found: Preview, said: Dials) -> None:
    """What will be learned: counts first, then real examples in the model's own template."""
    st.subheader("What will be learned", anchor=False)
    for name, part in (("Train", found.train), ("Validation", found.validation)):
        st.markdown(f"**{name}:** {count(part.examples, 'example')}, {share(part.learned_tokens, part.tokens)} of the tokens "
                    f"learned; {_lengths(part)}. {_left(part, said)}")
    odd = [{"record": layout.record_address(name), "why": why, "part": split}
           for split, part in (("train", found.train), ("validation", found.validation))
           for why, names in (("too long", part.too_long), ("nothing to learn", part.no_target),
                              ("the template refused it", part.template_failures)) for name in names[:100]]
    if odd:
        with st.expander(f"Which ones ({len(odd):,} shown)", icon=":material/list:"):
            st.dataframe(odd, hide_index=True, column_config={"record": layout.record_column()})
    rendered = previews.examples(ws, run)
    if not rendered:
        st.caption("The rendered examples of this look were cleared away. Look at other dials and back, or freeze anew, "
                   "to see some.")
        return
    st.html('<p class="tw-legend"><ins class="tw-learned">underlined: learned</ins> '
            '<span class="tw-masked">grey: read, not learned</span></p>')
    for one in layout.page_of(rendered, EXAMPLES, "rendered"):
        example(one)


def _lengths(part: Part) -> str:
    _, median, p95, longest = part.lengths
    return f"{median:,} tokens in the middle, {p95:,} for the longest twentieth, {longest:,} at most"


def _left(part: Part, said: Dials) -> str:
    """What stands in the way in this part, or that nothing does."""
    words = []
    if part.too_long:
        then = "left out" if said.too_long == "leave_out" else "answers would be cut"
        words.append(f"{len(part.too_long):,} too long, {then}")
    if part.no_target:
        words.append(f"{len(part.no_target):,} with nothing to learn")
    if part.template_failures:
        words.append(f"{len(part.template_failures):,} that the model's template refuses")
    return ("**" + "; ".join(words) + ".**") if words else "None too long, none with nothing to learn."


def example(one: Rendered) -> None:
    """One example as the model reads it; what is learned is underlined, never told by colour alone."""
    pieces = "".join(f'<ins class="tw-learned">{html.escape(text)}</ins>' if learned else
                     f'<span class="tw-masked">{html.escape(text)}</span>' for text, learned in one.pieces)
    st.html(f'<div class="tw-turn tw-rendered"><div class="tw-who">{html.escape(one.record_id)} · {one.learned:,} of '
            f'{one.tokens:,} tokens learned</div><div class="tw-said">{pieces}</div></div>')
