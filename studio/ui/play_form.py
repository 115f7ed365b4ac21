"""Asking in the playground: who answers and how, hard prompts that are ready, and the question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from studio import models, playground, prompts
from studio.hard_prompts import HARD
from studio.playground import Ask, Chosen, Decoding
from studio.ui import layout, session
from studio.workspace import Workspace

AS_IT_IS, OWN = "Each as it is", "Own words"


def begin(ws: Workspace, model_id: str) -> None:
    """A new conversation: who answers, how, the first question."""
    if not models.tuned(ws) and not models.endpoints(ws):
        layout.empty("No model was tuned here yet, so the base model answers alone. Train one to hear both side by side, or "
                     "add a server that answers on Models.", "Train a model", "pages/launch.py")
    chosen = _who(ws, model_id)
    chosen, decoding = _how(ws, chosen)
    _question(ws, "new", lambda text, ask_id: _open(
        playground.ask(ws, text, chosen, decoding, session.person(), ask_id)), disabled=not chosen)


def go_on(ws: Workspace, thread_id: str, asks: Sequence[Ask]) -> None:
    """The next question of a conversation, once its replies have ended."""
    if any(one.open for one in asks):
        return
    several = len(asks[-1].candidates) > 1
    st.subheader("Ask on", anchor=False)
    if several:
        st.caption("Each model reads its own earlier answers.")
    _question(ws, f"{thread_id}-{len(asks)}", lambda text, ask_id: _followed(ws, thread_id, text, ask_id))


def _followed(ws: Workspace, thread_id: str, text: str, ask_id: str) -> None:
    playground.follow(ws, thread_id, text, session.person(), ask_id)
    st.rerun()


def _open(thread_id: str) -> None:
    st.query_params.pop("model", None)
    st.query_params["thread"] = thread_id
    st.rerun()


def _who(ws: Workspace, model_id: str) -> list[Chosen]:
    more = bool(models.tuned(ws)) and st.toggle("Offer checkpoints too", key="play-checkpoints")
    offered = {one.candidate_id: one for one in playground.options(ws, more)}
    first = [one for one in playground.defaults(ws, model_id) if one in offered]
    found = st.multiselect(
        f"Who answers, at most {playground.MOST_CANDIDATES}", list(offered), first, format_func=lambda one: offered[one].name,
        max_selections=playground.MOST_CANDIDATES, key=f"play-who-{model_id}-{more}", placeholder="Choose a model",
        help="One: a chat. Several: they answer at once, side by side.")
    return [offered[one] for one in found]


def _how(ws: Workspace, chosen: Sequence[Chosen]) -> tuple[list[Chosen], Decoding]:
    """The system prompt of all that have none of their own, and how answers are made."""
    with st.expander("How they answer", icon=":material/tune:"):
        saved = {one.name: one.text for one in prompts.every(ws)}
        name = str(st.selectbox("System prompt", [AS_IT_IS, OWN, *saved], width=340, key="play-prompt",
                                help="Saved prompts come from Evaluate. A model with a written prompt keeps that."))
        text = "" if name == AS_IT_IS else st.text_area("Its words", saved.get(name, ""), height=120,
                                                        key=f"play-prompt-{name}", max_chars=prompts.LONGEST_TEXT)
        with st.container(horizontal=True):
            temperature = float(st.number_input("Temperature", 0.0, 2.0, 0.0, 0.1, width=170, key="play-temperature",
                                                help="0: the likeliest words, the same each time."))
            tokens = int(st.number_input("Longest answer, tokens", 16, 4096, 200, width=200, key="play-tokens"))
    if text.strip():
        label = "own prompt" if name == OWN else name
        chosen = [one if one.system is not None else replace(one, system=text.strip(), prompt_name=label) for one in chosen]
    return list(chosen), Decoding(max_new_tokens=tokens, temperature=temperature)


def _question(ws: Workspace, key: str, ask: Callable[[str, str], None], disabled: bool = False) -> None:
    """Hard prompts put their words into the field, where they can be changed."""
    titles = [one.title for one in HARD]
    picked = st.pills("Hard prompts, ready to ask", titles, key=f"play-hard-{key}")
    hard = HARD[titles.index(picked)] if picked else None
    with st.form(f"play-{key}", border=False, enter_to_submit=True):
        text = st.text_area("Question", hard.text if hard else "", height=110, key=f"play-question-{key}-{picked}",
                            max_chars=playground.LONGEST_QUESTION, placeholder="Write as a customer would")
        if hard:
            st.caption(f"A good answer: {hard.wanted}")
        asked = st.form_submit_button("Ask", type="primary", icon=":material/send:", disabled=disabled)
    if asked:
        with layout.guarded():
            ask(text, ws.new_id())
