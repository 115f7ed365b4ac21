"""What it cost to win: time, tokens and money, what was forgotten, and whether the training memorised."""

from __future__ import annotations

import streamlit as st

from studio import costs, curves, models, prices, rivals, runs
from studio.costs import Cost, Kept
from studio.prices import Price
from studio.runs import Run
from studio.ui import evaluate_cache, layout, run_charts, verdict_view
from studio.ui.formats import share, signed
from studio.workspace import Workspace

WHAT_TO_DO = ("Fewer epochs (1–2 may do), more or more varied examples, more dropout, or a lower rank: start again on Launch. "
              "The adapter with the lowest validation loss was kept, so what was evaluated is the best of this training.")
NOT_KEPT = "The general suite was not asked in this evaluation, so whether abilities were lost is not known. Start one with it."


def draw(ws: Workspace, run: Run) -> None:
    roles = rivals.roles(run)
    st.subheader("Time, tokens, money", anchor=False)
    spent, price = evaluate_cache.spent(ws, run), prices.now(ws)
    rows = [_row(one, roles, price, costs.unit(run)) for one in spent]
    st.dataframe(rows, hide_index=True, column_config=layout.numbers(key for key in rows[0] if key != "candidate"),
                 alt="What each candidate's answers took")
    st.caption(_slowness(spent, roles))
    st.subheader("What was forgotten", anchor=False)
    with st.container(horizontal=True):
        rival, judged = verdict_view.choose_pair(run)
    _forgotten(evaluate_cache.kept(ws, run, rival, judged), roles[rival], roles[judged])
    st.subheader("Did the training memorise?", anchor=False)
    _memorised(ws, run, judged)


def _row(one: Cost, roles: dict[str, str], price: Price, unit: str) -> dict[str, str]:
    prompt = f"{one.prompt_tokens / one.answers:,.0f}" if one.prompt_tokens is not None else "not counted"
    return {"candidate": roles[one.candidate_id], "answers": f"{one.answers:,}", "reused": f"{one.reused:,}",
            "median": f"{one.median:.2f} s", "slowest 5 % take over": f"{one.p95:.2f} s", "tokens read an answer": prompt,
            "tokens written an answer": f"{one.new_tokens / one.answers:,.0f}",
            "1,000 answers cost": costs.money(one, price, unit), "stopped at the limit": share(one.cut, one.answers)}


def _slowness(spent: list[Cost], roles: dict[str, str]) -> str:
    slow = [f"{roles[one.candidate_id]} {one.median:.1f} s" for one in spent if one.median > 2]
    said = "Seconds are for one answer; local answers are made in batches, so alone one may take longer or shorter. "
    return said + (f"Above the 2 s that customers wait for: {', '.join(slow)}." if slow else
                   "All stay under the 2 s that a customer should wait.")


def _forgotten(kept: list[Kept], rival: str, judged: str) -> None:
    if not kept:
        st.markdown(NOT_KEPT)
        return
    whole = kept[-1]
    said = {"worse": f"The {judged} model lost general abilities against {rival}.",
            "better": f"The {judged} model does better on the general suite than {rival}.",
            "no difference worth having": "Nothing worth speaking of was forgotten."}
    st.markdown(f"**{said.get(whole.found.word, 'The suite is too small to tell whether anything was forgotten.')}** It passes "
                f"{whole.after} of {whole.items} general questions, {rival} {whole.before}.")
    st.dataframe([{"kind": one.title, "questions": one.items, rival: share(one.before, one.items),
                   judged: share(one.after, one.items), "difference": signed(*one.found.difference.parts)} for one in kept],
                 hide_index=True, column_config=layout.numbers([rival, judged, "difference"]),
                 alt="The general suite before and after, by kind")
    st.caption("Knowledge, arithmetic, instructions, form, and refusals: questions of our own, asked of every candidate. By "
               "kind they are few, so read the intervals.")


def _memorised(ws: Workspace, run: Run, judged: str) -> None:
    candidate = next(one for one in runs.candidates(run) if one.candidate_id == judged)
    trained = costs.training(ws, run, models.get(ws, candidate.model_id))
    if trained is None:
        st.markdown("Who is judged was not trained here, so there are no losses to look at.")
        return
    heard = runs.events(ws, trained)
    trouble = curves.overfitting(heard.losses, heard.validation)
    if trouble is not None:
        st.warning(f"**{trouble.name}:** {layout.plain(trouble.sign)}. A final validation loss above 1.5 × the training loss, "
                   f"or one that rises while training falls, is memorising.\n\n{WHAT_TO_DO}", icon=":material/warning:")
    elif heard.losses and heard.validation:
        last = heard.validation[-1]["loss"]
        training = sum(row["loss"] for row in heard.losses[-10:]) / len(heard.losses[-10:])
        st.markdown(f":green[:material/check:] No sign of it: the final validation loss {last:.3f} is {last / training:.2f} × "
                    f"the training loss {training:.3f} (above 1.5 × would be one), and it is not rising.")
    if heard.losses or heard.validation:
        run_charts.losses(heard.losses, heard.validation)
    layout.link(f"Open the training run: {layout.plain(trained.title)}", "pages/runs.py", {"run": trained.run_id})
