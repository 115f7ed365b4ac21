"""Dials on the screen: what to set, what is advised, what follows; presets; a search over several values."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

from studio import dials as nouns
from studio import models, presets, starts
from studio.dials import METHODS, Checkpointing, Dials, TooLong
from studio.models import Model
from studio.named import PRESETS
from studio.presets import Preset
from studio.snapshots import Snapshot
from studio.ui import layout, session
from studio.ui.formats import count
from studio.workspace import Workspace

KINDS = {"folder": "Folder on this machine", "gguf": "GGUF file on this machine", "hub": "Hugging Face id"}
ADVICE = {
    "method": "Automatic takes the quickest that fits this machine. QLoRA needs the least memory, but costs time wherever "
              "16 bits fit.",
    "epochs": "Times through the data. 1–2 underfit, 3–5 are right for most, 10 and more memorise.",
    "rate": "2e-4 is right for most. Too high and the loss jumps; too low and it hardly falls.",
    "rank": "How much the adapter can hold: 8 to 64. Lower it when the model memorises."}
UNDERFIT = ("Both losses are still falling at the end, or hardly fell.",
            "Answers sound like the base model's, not like your desk.", "More epochs, a higher rate, a higher rank.")
OVERFIT = ("Validation loss rises while training loss falls, or ends above 1.5 × the training loss.",
           "Answers repeat training answers word for word, names and numbers included.",
           "Fewer epochs, more data, a lower rank.")
CHECKPOINTING: dict[Checkpointing, str] = {"auto": "Automatic", "on": "On: less memory, slower", "off": "Off: quickest"}
TOO_LONG: dict[TooLong, str] = {"refuse": "Refuse to start", "leave_out": "Leave them out"}
RATES, RANKS, EPOCHS = (5e-5, 1e-4, 2e-4, 4e-4, 1e-3), (8, 16, 32, 64), (1, 2, 3, 4, 5)
FEW_EXAMPLES = 200
Number = TypeVar("Number", int, float)


def add_base(ws: Workspace) -> None:
    """Another base model: where it is, and a button that adds and chooses it."""
    kind = st.radio("It is a", list(KINDS), format_func=KINDS.__getitem__, horizontal=True)
    ref = st.text_input("Hugging Face id" if kind == "hub" else "Full path",
                        placeholder="owner/name" if kind == "hub" else "/models/my-model")
    if kind == "hub":
        st.caption("Its weights are fetched from huggingface.co when the run starts; nothing else here goes to the network.")
    if st.button("Add this base model", disabled=not ref):
        st.query_params["base"] = models.add_base(ws, kind, ref).model_id  # type: ignore[arg-type]
        st.rerun()


def choose_preset(ws: Workspace) -> Preset | None:
    """Dials under a name, to begin from; None: the standard ones."""
    found = presets.every(ws)
    place = layout.place([preset.name for preset in found], st.query_params.get("preset"))
    chosen = st.selectbox("Preset", found, index=place, format_func=lambda preset: preset.name, width=320,
                          placeholder="Standard dials", key=f"preset-{len(found)}-{place}")
    st.caption(layout.plain(chosen.hint) if chosen else "Right for most; choose a preset to begin from other ones.")
    if chosen is None:
        st.query_params.pop("preset", None)
    else:
        st.query_params["preset"] = chosen.name
    return chosen


def dials(preset: Preset | None) -> Dials:
    """Every dial with its advice; fields begin with what the preset says."""
    begin, key = (preset.dials, preset.preset_id) if preset else (Dials(), "standard")
    with _advised("method"):
        method = st.selectbox("Method", list(METHODS), list(METHODS).index(begin.method), format_func=METHODS.__getitem__,
                              key=f"method-{key}")
    with _advised("epochs"):
        epochs = st.number_input("Epochs", 1, 50, begin.epochs, key=f"epochs-{key}")
    with _advised("rate"):
        rate = st.number_input("Learning rate", 1e-6, 1e-2, begin.learning_rate, step=5e-5, format="%.1e", key=f"rate-{key}")
    with _advised("rank"):
        rank = st.number_input("LoRA rank", 1, 256, begin.rank, key=f"rank-{key}")
    with st.expander("What under- and overfitting look like", icon=":material/show_chart:"):
        for column, title, signs in zip(st.columns(2), ("Underfitting", "Overfitting"), (UNDERFIT, OVERFIT), strict=True):
            column.markdown(f"**{title}**\n" + "".join(f"\n- {sign}" for sign in signs[:-1]) + f"\n\nThen: {signs[-1]}")
    with st.expander("Advanced", icon=":material/tune:"):
        return _advanced(begin, key, Dials(int(epochs), float(rate), int(rank), method))


def _advised(name: str) -> st.delta_generator.DeltaGenerator:
    """A place for a field, with the advice beside it (under it where the screen is narrow)."""
    left, right = st.columns([1, 2.6], vertical_alignment="bottom")
    right.container(key=f"advice-{name}").caption(ADVICE[name])
    return left


def _advanced(begin: Dials, key: str, said: Dials) -> Dials:
    """The panel for people who know; empty fields are derived."""
    with st.container(horizontal=True):
        step = st.number_input("Tokens a step", 16, None, begin.step_tokens, width=170, placeholder="derived",
                               key=f"step-{key}",
                               help="Tokens an optimizer step learns from. Empty: about fifty steps an epoch.")
        row = st.number_input("Tokens at once", 16, None, begin.row_tokens, width=170, placeholder="derived",
                              help="Computed at once; fewer need less memory. It changes the speed, not the result.",
                              key=f"row-{key}")
        checkpointing = st.selectbox("Checkpointing", list(CHECKPOINTING), list(CHECKPOINTING).index(begin.checkpointing),
                                     format_func=CHECKPOINTING.__getitem__, width=230, key=f"checkpointing-{key}",
                                     help="Computes parts twice instead of keeping them in memory.")
    with st.container(horizontal=True):
        longest = st.number_input("Longest example, tokens", 16, None, begin.max_tokens, width=210,
                                  placeholder="what the model takes", key=f"longest-{key}")
        too_long = st.segmented_control("Longer ones", list(TOO_LONG), default=begin.too_long, required=True,
                                        format_func=TOO_LONG.__getitem__, key=f"too-long-{key}",
                                        help="An example is never cut: its answer would be learned without its end.")
    with st.container(horizontal=True):
        evaluations = st.number_input("Evaluations an epoch", 1, 50, begin.evaluations_per_epoch, width=170, key=f"eval-{key}")
        keep = st.number_input("Checkpoints kept", 1, 100, begin.keep, width=170, key=f"keep-{key}",
                               help="The newest ones; the best is kept besides.")
        samples = st.number_input("Sample prompts", 0, 3, begin.sample_prompts, width=170, key=f"samples-{key}",
                                  help="Questions of the validation part, answered at every evaluation.")
        processes = st.number_input("GPUs or processes", 1, 8, begin.processes, width=170, key=f"processes-{key}",
                                    help="They share every step. On a machine without a GPU: processes.")
        seed = st.number_input("Seed", 0, 2**31 - 1, begin.seed, width=150, key=f"seed-{key}")
    return Dials(said.epochs, said.learning_rate, said.rank, said.method, _whole(step), _whole(row), checkpointing,
                 _whole(longest), too_long, int(evaluations), int(keep), int(samples), int(processes), int(seed))


def follows(said: Dials, snapshot: Snapshot) -> None:
    """Everything that nobody sets, and how many steps that makes."""
    each = starts.examples_a_step(snapshot.train)
    facts("What follows from these dials", nouns.follows(said, each))
    if not said.step_tokens and each:
        steps = -(-snapshot.train // each) * said.epochs
        st.caption(f"About {count(steps, 'optimizer step')} or some more (a look counts them): "
                   f"{count(snapshot.train, 'example')} × {count(said.epochs, 'epoch')}, about {each} a step.")
    if snapshot.train < FEW_EXAMPLES:
        st.warning(f"{snapshot.train} training examples are few: a style shows from about {FEW_EXAMPLES}, simple tasks want "
                   "500 to 1,000.")


def facts(title: str, found: Sequence[tuple[str, str]]) -> None:
    """Names and values in a calm grid."""
    cells = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in found)
    st.html(f'<div class="tw-follows"><strong>{html.escape(title)}</strong><dl>{cells}</dl></div>')


def keep_preset(ws: Workspace, said: Dials, chosen: Preset | None) -> None:
    """Save the dials under a name, replace what stands there, or delete it."""
    with st.popover("Save as a preset", icon=":material/bookmark_add:"):
        own = chosen is not None and not chosen.built_in
        name = st.text_input("Name", chosen.name if own and chosen else "", max_chars=PRESETS.longest_name,
                             placeholder="Short answers, small model")
        known = presets.is_saved(ws, name)
        if st.button("Replace the preset" if known else "Save these dials", type="primary", disabled=not name.strip()):
            with layout.guarded():
                st.query_params["preset"] = presets.save(ws, name, said, session.person()).name
                st.rerun()
        if own and chosen and st.checkbox(f"Delete {layout.plain(chosen.name)}") and st.button("Delete it for good"):
            presets.delete(ws, chosen.name, session.person())
            st.query_params.pop("preset", None)
            st.rerun()


def search(ws: Workspace, snapshot: Snapshot, base: Model, said: Dials, name: str) -> None:
    """Several values of the three dials that matter most, started as one group of runs."""
    st.caption(f"Up to {nouns.MOST_EACH} values each and {nouns.MOST_RUNS} runs. They train one after the other and are "
               "compared by validation loss; the other dials are as above.")
    with st.container(horizontal=True):
        rates = st.multiselect("Learning rates", _with(RATES, said.learning_rate), [said.learning_rate],
                               max_selections=nouns.MOST_EACH, format_func=nouns.scientific, width=300,
                               key=f"rates-{said.learning_rate}")
        ranks = st.multiselect("Ranks", _with(RANKS, said.rank), [said.rank], max_selections=nouns.MOST_EACH, width=260,
                               key=f"ranks-{said.rank}")
        epochs = st.multiselect("Epochs to try", _with(EPOCHS, said.epochs), [said.epochs], max_selections=nouns.MOST_EACH,
                                width=260, key=f"epochs-{said.epochs}")
    with layout.guarded():
        variants = nouns.grid(said, rates, ranks, epochs)
        passes = sum(variant.epochs for variant in variants)
        st.markdown(f"{count(len(variants), 'run')}, {count(passes, 'epoch')} in all.")
        if st.button(f"Start {count(len(variants), 'run')} as a group", icon=":material/stacked_line_chart:",
                     disabled=len(variants) < 2):
            layout.open_page("pages/runs.py", {"group": starts.group(ws, snapshot, base, variants, name)})


def _with(usual: Sequence[Number], own: Number) -> list[Number]:
    return sorted(set(usual) | {own})


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
