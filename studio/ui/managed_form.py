"""Tuning at a service, before the click: which service and model, the exact lines, the cost, what leaves the house."""

from __future__ import annotations

import html
import json
from typing import cast

import streamlit as st

from studio import managed, runs, services
from studio.errors import StudioError
from studio.managed import Dials, Leaving, Part, Quote
from studio.runs import Run
from studio.services import Api, Price, Service
from studio.snapshots import Snapshot
from studio.ui import layout, session
from studio.ui.formats import ago, count, duration
from studio.workspace import Workspace

APIS: dict[Api, str] = {"openai": "OpenAI's (Azure Foundry, Nebius and others serve them too)", "together": "Together's"}
SHOWN = 3
BASES = {"openai": "gpt-4.1-nano-2025-04-14", "together": "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"}


def draw(ws: Workspace, snapshot: Snapshot) -> None:
    """All of it for one snapshot; starting opens the run."""
    service = _service(ws)
    dials = _dials(service)
    st.subheader("Before the click", anchor=False)
    run = managed.newest(ws, managed.question(snapshot, service, dials))
    if run is not None and run.moving:
        layout.live_run(ws, run.run_id, layout.progress)
        return
    if run is None or run.state != "done":
        _not_looked(ws, run, snapshot, service, dials)
        return
    found, leaves = managed.read(run), managed.leaving(ws, snapshot)
    _account(found)
    _numbers(ws, found, service, dials)
    _problems(found)
    _lines(ws, run, found)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Look again", icon=":material/refresh:"):
            managed.look(ws, snapshot, service, dials)
            st.rerun()
        st.caption(f"Looked {ago(run.started_at, ws.now())}.", width="content")
    _start(ws, snapshot, service, dials, found, leaves)


def _service(ws: Workspace) -> Service:
    """Which service; another one can be added."""
    found = services.every(ws)
    names = [one.name for one in found]
    service = st.selectbox("Service", found, index=layout.place(names, st.query_params.get("service")) or 0,
                           format_func=lambda one: one.name, width=320, key=f"service-{len(found)}")
    st.caption(layout.plain(f"Its key is read from the environment variable {service.key}, where the studio was started."
                            if service.key else "No key is sent."))
    with st.expander("Add a service", icon=":material/add:"), layout.guarded():
        _add(ws)
    return service


def _add(ws: Workspace) -> None:
    with st.form("service", border=False, enter_to_submit=False):
        name = st.text_input("Name", placeholder="Our Azure", max_chars=60)
        api = st.selectbox("Which calls it serves", list(APIS), format_func=APIS.__getitem__)
        url = st.text_input("Address", placeholder="https://my-resource.openai.azure.com/openai/v1")
        key = st.text_input("Environment variable with the key", placeholder="AZURE_OPENAI_API_KEY",
                            help="The name of the variable, never the key.")
        if st.form_submit_button("Add this service", type="primary"):
            st.query_params["service"] = services.add(ws, name, cast(Api, api), url, key, session.person()).name
            st.rerun()


def _dials(service: Service) -> Dials:
    model = st.text_input("Model to tune", BASES[service.api], key=f"model-{service.api}", max_chars=120,
                          help="The service's own name for it, with its date.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epochs = st.number_input("Epochs", 1, 50, None, placeholder="its own choice", width=170,
                                 help="1–2 underfit, 3–5 are right for most, 10 and more memorise. Start with the service's "
                                 "own choice.")
        suffix = st.text_input("Suffix of the new name", "", max_chars=64, width=230, placeholder="support")
        validation = st.checkbox("Send validation too, for its loss", True)
    with st.expander("Advanced", icon=":material/tune:"), st.container(horizontal=True):
        batch = st.number_input("Batch size", 1, 256, None, placeholder="its own choice", width=170)
        rate = st.number_input("Learning rate × ", 0.001, 10.0, None, 0.1, placeholder="its own choice", width=170,
                               help="A multiplier: 0.02–0.1 is stable, 0.5–2 fast and risky.")
        seed = st.number_input("Seed", 0, 2**31 - 1, 1234, width=170)
    return Dials(model.strip(), epochs, batch, rate, suffix.strip(), seed, validation)


def _not_looked(ws: Workspace, run: Run | None, snapshot: Snapshot, service: Service, dials: Dials) -> None:
    if run is not None:
        layout.run_end(ws, run)
    st.caption("What exactly would be sent, does the service take it, can this account still tune, what will it cost? This "
               "asks the service only what costs nothing, and uploads nothing.")
    if st.button("Look before you start", type="primary", icon=":material/visibility:"):
        managed.look(ws, snapshot, service, dials)
        st.rerun()


def _account(found: Quote) -> None:
    """Can this account tune this model, and for how long yet?"""
    words = layout.plain(found.account_words)
    if found.account == "ok":
        st.success(words, icon=":material/check_circle:")
    elif found.account in managed.REFUSED:
        st.error(words, icon=":material/error:")
    else:
        st.warning(words, icon=":material/warning:")
    if found.closing:
        st.warning(layout.plain(found.closing), icon=":material/event_busy:")


def _numbers(ws: Workspace, found: Quote, service: Service, dials: Dials) -> None:
    price, speed = services.price(ws, dials.model), managed.speed(ws, service, dials.model)
    cost = found.cost(price)
    about = "" if found.tokens_basis != "estimated" else "about "
    with st.container(horizontal=True):
        st.metric("Costs about", f"{cost:,.2f} {price.money}" if cost is not None and price else "unknown", width=200)
        st.metric("Tokens of train", f"{about}{found.train.tokens:,}", width=200)
        st.metric("Epochs", f"{found.epochs}" if dials.epochs else f"{found.epochs}, expected", width=200)
        st.metric("Takes about", duration(found.trained_tokens / speed) if speed else "unknown", width=200)
    per = f"{price.per_million:g} {price.money} a million" if price else "a price nobody said yet"
    counted = "characters / 4, an estimate" if found.tokens_basis == "estimated" else f"the encoding {found.tokens_basis}"
    st.caption(layout.plain(
        f"{found.train.tokens:,} tokens × {found.epochs} epochs × {per}. An estimate: tokens are counted with {counted}. "
        + (f"The longest example has {found.train.longest:,} tokens"
           + (f" of the {found.limit:,} that the model takes. " if found.limit else ". "))
        + ("" if speed else "No job of this model was done from here, and services queue jobs: count on minutes to hours.")))
    _price(ws, price, dials.model)


def _price(ws: Workspace, price: Price | None, model: str) -> None:
    """The price, its date, and a form that changes it."""
    if price is None:
        said = "Nobody said what this model costs."
    elif price.who:
        said = f"{price.who} said {price.per_million:g} {price.money} a million tokens, {ago(price.said_at, ws.now())}."
    else:
        said = f"{price.per_million:g} {price.money} a million tokens is what third parties wrote in 2025; nobody verified it."
    with (st.expander(layout.plain(f"Price: {said}"), icon=":material/payments:"), layout.guarded(),
          st.form("price", border=False), st.container(horizontal=True, vertical_alignment="bottom")):
        per = st.number_input("A million trained tokens", 0.0, None, price.per_million if price else None, width=220)
        money = st.text_input("Currency", price.money if price else "USD", max_chars=12, width=110)
        if st.form_submit_button("Keep this price"):
            if per is None:
                raise StudioError("What does a million trained tokens cost?", "The service's page of prices has it.")
            services.say_price(ws, model, per, money, session.person())
            st.rerun()


def _problems(found: Quote) -> None:
    if not found.problem_count:
        parts = [f"{count(part.lines, 'line')} ({part.bytes / 1024:,.0f} KiB) for {name}" for name, part in _parts(found)]
        st.success(f"The service takes these lines: {', '.join(parts)}.", icon=":material/fact_check:")
        return
    st.error(f"**The service would refuse this: {count(found.problem_count, 'problem')}.**", icon=":material/error:")
    st.dataframe([{"file": one["file"], "line": one["line"], "what": one["words"]} for one in found.problems], hide_index=True,
                 alt="What the service would refuse, by line")


def _parts(found: Quote) -> list[tuple[str, Part]]:
    return [("train", found.train), *([("validation", found.validation)] if found.validation else [])]


def _lines(ws: Workspace, run: Run, found: Quote) -> None:
    """The very bytes, the first of them to read, all of them to take away."""
    with st.expander("Exactly what would be sent", icon=":material/data_object:"):
        for name, part in _parts(found):
            raw = managed.lines(ws, run, name)
            if not raw:
                st.caption(f"This look no longer keeps the lines of {name}: look again.")
                continue
            first = raw.split(b"\n", SHOWN)[:SHOWN]
            shown = "\n\n".join(json.dumps(json.loads(line), indent=1, ensure_ascii=False) for line in first if line)
            st.html(f'<pre class="tw-lines" tabindex="0">{html.escape(shown)}</pre>')
            st.download_button(f"All {count(part.lines, 'line')} of {name}", raw, f"{name}.jsonl", "application/jsonl",
                               icon=":material/download:", key=f"lines-{name}")


def _start(ws: Workspace, snapshot: Snapshot, service: Service, dials: Dials, found: Quote, leaves: Leaving) -> None:
    st.subheader("Start", anchor=False)
    accepted = _leaving(leaves, service)
    name = st.text_input("Name of the run", f"{dials.model} on {snapshot.name}"[:80], max_chars=80,
                         key=f"managed-name-{dials.model}-{snapshot.snapshot_id}")
    ready = not found.problem_count and found.account not in managed.REFUSED and (leaves.clear or accepted)
    lines = found.train.lines + (found.validation.lines if found.validation else 0)
    if st.button(f"Send {count(lines, 'line')} and tune", type="primary", icon=":material/cloud_upload:", disabled=not ready):
        with layout.guarded():
            layout.open_page("pages/runs.py", {"run": managed.start(ws, snapshot, service, dials, name, session.person(),
                                                                    accepted)})
    earlier = [run for run in runs.every(ws, "managed") if run.snapshot_id == snapshot.snapshot_id]
    if earlier:
        st.caption(f"{count(len(earlier), 'run')} of this snapshot at a service before. The same lines are uploaded only once.")


def _leaving(leaves: Leaving, service: Service) -> bool:
    """Open personal data that would leave, and whether somebody says so knowingly."""
    if leaves.clear:
        st.caption("All of these records were checked, and no personal data in them is open.")
        return True
    parts = [f"{count(leaves.open, 'record')} with personal data that nobody settled."] if leaves.open else []
    parts += [f"{count(leaves.unchecked, 'record')} never checked."] if leaves.unchecked else []
    said = " ".join(parts) if leaves.ever_checked else "No record was ever checked for personal data."
    st.warning(f"**Personal data may leave this machine.** {said}", icon=":material/privacy_tip:")
    layout.link("Check and clean the records, then freeze anew", "pages/clean.py")
    return st.checkbox(f"I know, and send it to {layout.plain(service.name)} all the same", key="accept-leaving")
