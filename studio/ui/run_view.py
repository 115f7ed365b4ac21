"""A run on the screen: where it is, and for a training run what it learns, step by step."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import streamlit as st

from studio import curves, runs, samples
from studio.dials import METHODS, scientific
from studio.runs import Events, Run
from studio.samples import Prompt
from studio.ui import drift_view, launch_view, layout, managed_view, run_charts, session, twin_search
from studio.ui.formats import ago, count, duration
from studio.workspace import Row, Workspace

FACTS = {"device": "Device", "method": "Method", "compute": "Computed in", "attention": "Attention", "kernels": "Kernels",
         "row_tokens": "Tokens at once", "step_tokens": "Tokens a step", "checkpointing": "Checkpointing", "steps": "Steps",
         "steps_per_epoch": "Steps an epoch", "trained_parameters": "Trained parameters", "alpha": "Alpha",
         "warm_steps": "Warm-up steps", "processes": "Processes"}
COURSES = (("accuracy", "How many tokens does it get right?", "share of tokens", ".0%"),
           ("lr", "Does the learning rate follow its plan?", "learning rate", ".1e"),
           ("grad_norm", "Are the gradients calm? (cut off above 1)", "gradient norm", ".2f"),
           ("tokens_s", "How fast does it go?", "tokens a second", ",.0f"),
           ("memory_gib", "How much memory does it take?", "GiB at its highest", ".2f"))


def draw(ws: Workspace, run: Run) -> None:
    """All of a run as it stands."""
    with st.container(horizontal=True, vertical_alignment="center"):
        layout.state_badge(run)
        st.markdown(f"{run.kind}, started {ago(run.started_at, ws.now())}, attempt {run.attempt}, on "
                    f"{layout.plain(run.where) or 'this machine'}")
    if run.moving:
        layout.progress(run)
        if not session.may("run"):
            pass
        elif run.kind == "managed":
            managed_view.acts(ws, run)
        elif st.button("Stop, keeping what it has", icon=":material/stop_circle:", key=f"stop-{run.run_id}"):
            runs.stop(ws, run.run_id)
            st.toast("Asked to stop. It saves what it has first, within a step or a batch.")
    else:
        layout.run_end(ws, run)
        if run.state == "done":
            finished(ws, run)
    heard = runs.events(ws, run)
    if run.kind in ("train", "managed"):
        training(ws, run, heard)
    if run.kind == "managed":
        managed_view.job(ws, run)
    for note in heard.notes:
        st.caption(layout.plain(note))
    layout.log(ws, run)


def training(ws: Workspace, run: Run, heard: Events) -> None:
    """What goes wrong, the numbers, the curves, and sample answers over the steps."""
    steps = int(heard.recipe.get("steps") or (run.status.total if run.status and run.status.phase == "training" else 0))
    for trouble in curves.troubles(heard.losses, heard.validation, steps):
        st.warning(f"**{trouble.name}:** {layout.plain(trouble.sign)}.\n\n{trouble.advice}", icon=":material/warning:")
    for row in heard.out_of_memory:
        st.warning(layout.plain(str(row["sentence"])), icon=":material/memory:")
    numbers = _numbers(heard, "now" if run.moving else "at the end")
    if numbers:
        with st.container(horizontal=True):
            for label, value in numbers:
                st.metric(label, value, width=165)
    if heard.losses or heard.validation:
        run_charts.losses(heard.losses, heard.validation)
    _courses(heard.losses)
    prompts = samples.every(ws, run) if session.may("raw") else []
    if prompts:
        learning(prompts)
    if heard.recipe:
        found = [(name, _fact(key, heard.recipe[key])) for key, name in FACTS.items() if heard.recipe.get(key) is not None]
        launch_view.facts("What follows from the dials", found)


def _numbers(heard: Events, when: str) -> list[tuple[str, str]]:
    found = []
    if heard.validation:
        best = min(row["loss"] for row in heard.validation)
        found += [("Validation loss before", f"{heard.validation[0]['loss']:.3f}"), ("Best validation loss", f"{best:.3f}")]
    if heard.losses:
        last = heard.losses[-1]
        found += [(f"Training loss {when}", f"{last['loss']:.3f}")]
        found += [(f"Learning rate {when}", scientific(last["lr"]))] if last.get("lr") is not None else []
        found += [(name, f"{last[key]:{form}}") for key, name, form in (
            ("grad_norm", "Gradient norm", ".2f"), ("tokens_s", "Tokens a second", ",.0f"),
            ("memory_gib", "Memory, GiB", ".1f")) if last.get(key) is not None and math.isfinite(last[key])]
    return found


def _courses(rows: Sequence[Row]) -> None:
    """The small charts, two beside each other, of what the events have."""
    there = [course for course in COURSES if any(row.get(course[0]) is not None for row in rows)]
    for pair in (there[place:place + 2] for place in range(0, len(there), 2)):
        for column, course in zip(st.columns(2), pair, strict=False):
            with column:
                run_charts.course(rows, *course)


def learning(prompts: Sequence[Prompt]) -> None:
    """The same questions answered at every evaluation, the newest first, beside what the desk answered."""
    st.subheader("Does it learn to answer like the desk?", anchor=False)
    for prompt in prompts:
        said = "".join(_card(f"Step {answer.step:,}", answer.text, "tw-assistant") for answer in prompt.answers)
        st.html(f'<div class="tw-learning"><div class="tw-asked-once">{_card("Customer", prompt.question, "tw-user")}'
                f'{_card("The desk answered", prompt.expected, "tw-expected")}</div>'
                f'<div class="tw-steps" tabindex="0" role="group" aria-label="Answers, newest first">{said}</div></div>')


def _card(who: str, text: str, kind: str) -> str:
    said = html.escape(text) if text.strip() else "<em>nothing</em>"
    return (f'<div class="tw-turn {kind}"><div class="tw-who">{html.escape(who)}</div>'
            f'<div class="tw-said">{said}</div></div>')


def _fact(key: str, value: object) -> str:
    if key == "method" and value in METHODS:
        return METHODS[value]  # type: ignore[index]
    if key == "checkpointing" and isinstance(value, int):
        return f"{count(int(value), 'layer')} computed twice" if value else "off"
    return f"{value:,}" if isinstance(value, int) else str(value)


def finished(ws: Workspace, run: Run) -> None:
    """Where to go on from a run that is done."""
    assert run.result is not None
    data = run.result.data
    if run.kind == "managed":
        managed_view.finished(ws, run)
    if run.kind == "train":
        left = f"; {count(data['left_out'], 'example')} left out as too long" if data.get("left_out") else ""
        st.markdown(f"{count(data['steps'], 'step')} in {duration(data['seconds'])}; "
                    f"{count(data['learned_tokens'], 'token')} of answers learned from{left}.")
        with st.container(horizontal=True):
            if session.may("run"):
                layout.go("Evaluate this model", "pages/evaluate.py", {"model": run.run_id}, primary=True)
            layout.go("Chat with it", "pages/playground.py", {"model": run.run_id})
    elif run.kind == "check":
        layout.go("Open the findings", "pages/clean.py", primary=True)
    elif run.kind == "dedupe":
        layout.go("Open the twins", "pages/twins.py", {"side": twin_search.SIDE_NAMES[run.spec["side"]]}, primary=True)
    elif run.kind == "inspect":
        layout.go("Open what it found", *(("pages/snapshots.py", {"snapshot": run.snapshot_id}) if run.snapshot_id else
                                         ("pages/freeze.py", {})), primary=True)
    elif run.kind == "evaluate":
        layout.go("Open the verdict", "pages/evaluate.py", {"run": run.run_id}, primary=True)
    elif run.kind in ("export", "serve", "parity"):
        layout.go("Open it on Deploy", "pages/deploy.py", {"model": run.spec["tuned"]["model_id"]}, primary=True)
    elif run.kind == "play":
        layout.go("Open the playground", "pages/playground.py", primary=True)
    elif run.kind == "drift":
        drift_view.finished(run)
    elif run.kind == "preview":
        layout.go("Open it on Launch", "pages/launch.py", {"snapshot": run.snapshot_id}, primary=True)
