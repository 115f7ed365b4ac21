"""The recipe of a synthesis: what is wanted, where the data is thin, after which records, with which prompt, past which
gate."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import streamlit as st

from studio import gaps, models, recipes, records, runs, seeds, synthesis, synthetic
from studio.components.desk import digest
from studio.models import Model
from studio.recipes import Recipe
from studio.ui import endpoint_view, evaluate_cache, layout, place_view, session
from studio.ui.formats import count, duration
from studio.workspace import Workspace

GAPS = "Gaps in the data"
FIELDS = {"scenarios": "Scenarios, one a line", "personas": "Personas", "difficulties": "Difficulty", "tones": "Tone"}


def draw(ws: Workspace) -> None:
    """The whole form; starting leads to the run."""
    start = _start_from(ws)
    key = f"recipe-{start[0]}-{digest(recipes.written(start[1]))}"  # another recipe under this name: other fields
    recipe = _what(ws, start[1], key)
    recipe = _seeds(ws, recipe, key)
    recipe = _prompt(recipe, start[1], key)
    recipe, judge = _gate(ws, recipe, key)
    model = _model(ws, key)
    if model is not None:
        _go(ws, recipe, model, judge, key)
    _keep(ws, recipe, start[0])


def _start_from(ws: Workspace) -> tuple[str, Recipe]:
    """A saved recipe, gaps in the data, or the ready one."""
    saved = recipes.every(ws)
    found = _gaps(ws)
    mine = [name for name in saved if name != recipes.LAST]
    options = [*([recipes.LAST] if recipes.LAST in saved else []), *([GAPS] if found else []), *mine, "Empty"]
    name = str(st.segmented_control("Start from", options, default=options[0], required=True, key="recipe-start"))
    if name in saved:
        return name, saved[name]
    if name == "Empty":
        return name, Recipe(scenarios=synthetic.SCENARIOS)
    chosen = st.dataframe([{"scenario": one.scenario, "why": one.why, "wanted": one.fill} for one in found], hide_index=True,
                          on_select="rerun", selection_mode="multi-row", key="gaps", alt="Where the data is thin")
    places = chosen["selection"]["rows"] or list(range(min(3, len(found))))
    picked = [found[place] for place in places]
    st.caption(f"{count(len(picked), 'gap')} of {len(found)} taken" + ("" if chosen["selection"]["rows"] else
               ": the first ones, until you choose rows") + ". Each fills up towards the middle one of its kind.")
    each = max(5, round(sum(one.fill for one in picked) / len(picked)))
    ids = tuple(dict.fromkeys(one for gap in picked for one in gap.seeds))
    filled = Recipe(scenarios=tuple(one.scenario for one in picked), each=each, seed_ids=ids)
    return "gaps-" + "-".join(map(str, places)), filled


def _gaps(ws: Workspace) -> list[gaps.Gap]:
    run = gaps.newest(ws)
    return gaps.find(ws, run, evaluate_cache.grid(ws, run)) if run else gaps.find(ws)


def _what(ws: Workspace, start: Recipe, key: str) -> Recipe:
    work: Any = st.selectbox("What to make", list(synthetic.WORKS), list(synthetic.WORKS).index(start.work),
                             format_func=lambda one: synthetic.WORKS[one].title, key=f"{key}-work")
    if work in ("paraphrases", "answers"):
        each = int(st.number_input("Of each record", 1, 50, min(start.each, 5), width=160, key=f"{key}-each"))
        return replace(start, work=work, scenarios=(), each=each)
    ready = synthetic.HARD_CASES if work == "hard" else synthetic.SCENARIOS
    first = start.scenarios if work == start.work else ready
    scenarios = recipes.lines(st.text_area(FIELDS["scenarios"], "\n".join(first), height=150, key=f"{key}-{work}-scenarios"))
    with st.container(horizontal=True):
        personas = _several("personas", synthetic.PERSONAS, start.personas, key)
        difficulties = _several("difficulties", synthetic.DIFFICULTIES, start.difficulties, key)
        tones = _several("tones", synthetic.TONES, start.tones, key)
    with st.container(horizontal=True):
        languages = tuple(st.multiselect("Languages", ["en", "de", "fr", "es", "it", "nl", "pt"], start.languages or ("en",),
                                         accept_new_options=True, width=300, key=f"{key}-languages"))
        each = int(st.number_input("Examples of each combination", 1, 1_000, start.each, width=230, key=f"{key}-each"))
    return replace(start, work=work, scenarios=scenarios, personas=personas, difficulties=difficulties, tones=tones,
                   languages=languages or ("en",), each=each)


def _several(field: str, ready: tuple[str, ...], start: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(st.multiselect(FIELDS[field], list(dict.fromkeys((*ready, *start))), start, accept_new_options=True,
                                placeholder="any", width=250, key=f"{key}-{field}"))


def _seeds(ws: Workspace, recipe: Recipe, key: str) -> Recipe:
    """After which records, and with which documents."""
    on_seeds = recipe.work in ("paraphrases", "answers")
    with st.expander("Records to work on" if on_seeds else "Written after which of your records and documents",
                     expanded=on_seeds, icon=":material/content_paste_search:"):
        with st.container(horizontal=True):
            tag = st.selectbox("Tag", records.tags(ws), None, placeholder="any", width=220, key=f"{key}-seed-tag",
                               disabled=bool(recipe.seed_ids))
            stars = st.number_input("Rated at least", 0.0, None, recipe.seed_stars, width=160, placeholder="any",
                                    key=f"{key}-stars")
            shots = recipe.shots if on_seeds else int(st.number_input("Examples in each prompt", 0, 10, recipe.shots, width=190,
                                                                      key=f"{key}-shots"))
        recipe = replace(recipe, seed_tag=tag or "", seed_stars=stars, shots=shots)
        found = seeds.find(ws, recipe)
        kept = f" Kept back: {found.left_out}." if found.left_out else ""
        st.caption(f"{count(len(found.ids), 'record')} can be used.{kept}")
        written = st.text_area("Policy or product text that answers may rest on", "\n\n".join(recipe.documents), height=110,
                               key=f"{key}-documents", max_chars=recipes.MOST_DOCUMENT)
        files = st.file_uploader("or text files", ["txt", "md"], accept_multiple_files=True, key=f"{key}-files")
        texts = [written.strip(), *(io.TextIOWrapper(file, "utf-8", "replace").read() for file in files)]
    return replace(recipe, documents=tuple(text for text in texts if text))


def _prompt(recipe: Recipe, start: Recipe, key: str) -> Recipe:
    with st.expander("The prompt, word for word", icon=":material/edit_note:"):
        own = start.prompt if start.work == recipe.work else ""
        prompt = st.text_area("Prompt", own or synthetic.PROMPTS[recipe.work], height=320, key=f"{key}-{recipe.work}-prompt",
                              help="In braces stands what is put in: " + ", ".join(synthetic.PLACEHOLDERS))
        system = st.text_area("System turn that the examples get", recipe.system, height=80, key=f"{key}-system")
        temperature = float(st.slider("Temperature", 0.0, 1.5, recipe.temperature, 0.1, width=300, key=f"{key}-temperature"))
    ready = prompt.strip() == synthetic.PROMPTS[recipe.work].strip()
    return replace(recipe, prompt="" if ready else prompt, system=system.strip(), temperature=temperature)


def _gate(ws: Workspace, recipe: Recipe, key: str) -> tuple[Recipe, Model | None]:
    with st.expander("What each example must pass", icon=":material/filter_alt:"):
        with st.container(horizontal=True):
            shortest = int(st.number_input("Shortest turn, characters", 1, 1_000, recipe.shortest, width=200,
                                           key=f"{key}-short"))
            longest = int(st.number_input("Longest", 50, 20_000, recipe.longest, width=160, key=f"{key}-long"))
            twin = float(st.number_input("Twins from a likeness of", 0.0, 1.0, recipe.twin_at, 0.05, width=200,
                                         key=f"{key}-twin", help="Of its 3-word shingles with any question that is here, "
                                         "or that was made. 0: off."))
        personal = st.checkbox("No personal data", recipe.personal, key=f"{key}-personal",
                               help="Made-up addresses on example domains may stay.")
        judge = st.selectbox("A judge that scores each one", models.answering(ws), None, placeholder="nobody",
                             format_func=lambda one: one.name, key=f"{key}-judge")
        rubric, least = recipe.rubric, recipe.least_score
        if judge is not None:
            rubric = st.text_area("Rubric", recipe.rubric or synthetic.RUBRIC, height=130, key=f"{key}-rubric")
            least = int(st.number_input("Lowest score that passes, of 5", 1, 5, recipe.least_score, width=220,
                                        key=f"{key}-least"))
        st.caption("Form, language, leaked placeholders and refusals are looked at as well. What fails is kept aside.")
    return replace(recipe, shortest=shortest, longest=longest, twin_at=twin, personal=personal,
                   judge=judge.model_id if judge else "", rubric=rubric, least_score=least), judge


def _model(ws: Workspace, key: str) -> Model | None:
    every = sorted(models.answering(ws), key=lambda one: (one.kind != "endpoint", one.model_id))
    model = st.selectbox("Written by", every, format_func=lambda one: f"{one.name} · {one.kind}", key=f"{key}-model",
                         help="A strong model behind an endpoint writes best; the starter shows how it goes.")
    if model is not None and model.kind == "endpoint":
        endpoint_view.one(ws, model)
    return model


def _go(ws: Workspace, recipe: Recipe, model: Model, judge: Model | None, key: str) -> None:
    """The estimate beside the buttons: three for a look, then all of them."""
    number, found = recipes.wanted(recipe), seeds.find(ws, recipe)
    if recipe.work in ("paraphrases", "answers"):
        number = recipe.each * len(found.ids)
    told = synthesis.estimate(ws, recipe, model, judge, number)
    money = f"about {told.cost:,.2f} {told.money}" if told.cost is not None else "a cost that is not known (no prices)"
    st.markdown(f"**{count(number, 'example')}**: about {told.calls:,} calls, {told.tokens:,} tokens, {money}, "
                f"{duration(told.seconds)}. {told.basis}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        budget = None
        if told.cost is not None:
            budget = float(st.number_input(f"At most, {told.money} (0: no limit)", 0.0, value=0.0, step=0.5, width=200,
                                           key=f"{key}-budget", help="It stops before a call could pass this.")) or None
    place = place_view.choose(ws, key)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        look = st.button("Write three to look at", icon=":material/visibility:")
        go = st.button(f"Write {count(number, 'example')}", type="primary", icon=":material/play_arrow:", disabled=not number)
    if look or go:
        with layout.guarded(), runs.at(place):
            recipes.save(ws, recipes.LAST, recipe, session.person())
            st.query_params["run"] = synthesis.start(ws, recipe, model, judge, budget, only=3 if look else None)
            session.turn_to("view", "made")


def _keep(ws: Workspace, recipe: Recipe, name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known = name in recipes.every(ws) and name != recipes.LAST
        title = st.text_input("Keep this recipe as", name if known else "", max_chars=60, width=300)
        if st.button("Keep", icon=":material/save:", disabled=not title.strip()):
            with layout.guarded():
                recipes.save(ws, title, recipe, session.person())
                st.toast("Kept.")
