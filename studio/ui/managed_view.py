"""A tuning at a service on the screen: its job, what can be asked of it, what it made; and the files that lie there."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio import managed, models, runs, services
from studio.models import Model
from studio.runs import Run
from studio.services import Service
from studio.ui import layout, session
from studio.ui.formats import ago, count, duration
from studio.workspace import Workspace


def acts(ws: Workspace, run: Run) -> None:
    """What can be asked while the job runs. Watching ends without the job; the job itself is cancelled by another button."""
    with st.container(horizontal=True):
        if st.button("Stop watching", icon=":material/visibility_off:", key=f"stop-{run.run_id}",
                     help="The job goes on at the service. Resume finds it again."):
            runs.stop(ws, run.run_id)
        for act, words, icon in (("pause", "Pause the job", "pause"), ("resume", "Let it go on", "play_arrow"),
                                 ("cancel", "Cancel the job", "cancel")):
            if st.button(words, icon=f":material/{icon}:", key=f"{act}-{run.run_id}"):
                managed.ask(ws, run, act)
                st.toast("Asked. The service's answer appears here.")


def job(ws: Workspace, run: Run) -> None:
    """What exists at the service, by its ids there."""
    there = managed.remote(ws, run)
    rows = [{"what": f"file of {split}", "id": file.get("id", ""), "state": "used again" if file.get("reused") else "uploaded"}
            for split, file in (there.get("files") or {}).items()]
    if there.get("job"):
        rows.append({"what": "job", "id": there["job"].get("id", ""), "state": there["job"].get("status", "")})
    if rows:
        st.dataframe(rows, hide_index=True, alt="What exists at the service")


def finished(ws: Workspace, run: Run) -> None:
    """What it took, and where to go on."""
    assert run.result is not None
    data = run.result.data
    cost = f"{data['cost']:,.4f} {data['money']}" if data.get("cost") is not None else "a cost that is not known"
    tokens = count(data["trained_tokens"], "trained token") if data.get("trained_tokens") else "tokens not told"
    st.markdown(layout.plain(f"{tokens}, {cost}, {duration(data.get('seconds') or 0)} from the start to the end."))
    if data.get("needs_deployment"):
        st.info("Here a tuned model must be deployed before it answers. Deploy it at the service, then say the deployment's "
                "name on the Models page.", icon=":material/rocket_launch:")
        layout.go("Open Models", "pages/models.py", primary=True)
        return
    with st.container(horizontal=True):
        if session.may("run"):
            layout.go("Evaluate this model", "pages/evaluate.py", {"model": run.run_id}, primary=True)
        layout.go("Chat with it", "pages/playground.py", {"model": run.run_id})


def model(ws: Workspace, tuned: Model) -> None:
    """A model that a service tuned, in the list of models."""
    facts = tuned.facts
    with st.container(border=True):
        st.subheader(layout.plain(tuned.name), anchor=False)
        st.caption(layout.plain(f"{tuned.base['model']} at {tuned.base['base_url'] or 'OpenAI'} · "
                                f"{ago(tuned.added_at, ws.now())}"))
        there = [facts.get(key) for key in ("first_validation_loss", "best_validation_loss")]
        losses = [f"{loss:.3f}" for loss in there if loss is not None]
        st.markdown(f"Validation loss {' → '.join(losses)}" if losses else "The service told no validation loss.")
        if tuned.waits:
            _deploy(ws, tuned)
        steps = [one for one in models.hosted(ws, tuned.run_id or "") if one.facts.get("checkpoint")]
        if steps:
            st.caption(layout.plain(f"Checkpoints, offered on Evaluate and in the Playground too: {_checkpoints(steps)}."))
        with st.container(horizontal=True, vertical_alignment="center"):
            if not tuned.waits:
                if session.may("run"):
                    layout.go("Evaluate it", "pages/evaluate.py", {"model": tuned.model_id}, primary=True)
                layout.go("Chat with it", "pages/playground.py", {"model": tuned.model_id})
            layout.link("Its run", "pages/runs.py", {"run": tuned.run_id or ""})


def _checkpoints(steps: Sequence[Model]) -> str:
    found = [(int(one.facts["best_step"]), one.facts.get("best_validation_loss")) for one in steps]
    return ", ".join(f"step {step:,}" + (f" ({loss:.3f})" if loss is not None else "") for step, loss in sorted(found))


def _deploy(ws: Workspace, tuned: Model) -> None:
    if not session.may("run"):
        return
    st.info("It must be deployed at its service before it answers.", icon=":material/rocket_launch:")
    with layout.guarded(), st.form(f"deploy-{tuned.model_id}", border=False), st.container(horizontal=True,
                                                                                       vertical_alignment="bottom"):
        name = st.text_input("Name of its deployment", max_chars=models.LONGEST_NAME, width=280)
        if st.form_submit_button("It is deployed"):
            models.deployed(ws, tuned, name)
            st.rerun()


def files(ws: Workspace) -> None:
    """The files that lie at a service, and their end."""
    used = services.every(ws)
    service = st.selectbox("Service", used, format_func=lambda one: one.name, width=320, key="files-of")
    run = managed.newest_files(ws, service)
    if run is not None:
        layout.live_run(ws, run.run_id, lambda now: _listed(ws, now, service))
    if st.button("List the files there", icon=":material/cloud:", disabled=run is not None and run.moving):
        managed.files(ws, service)
        st.rerun()


def _listed(ws: Workspace, run: Run, service: Service) -> None:
    if run.moving:
        layout.progress(run)
        return
    if run.state != "done" or run.result is None:
        layout.run_end(ws, run)
        return
    for kept in run.result.data["kept"]:
        st.warning(layout.plain(f"{kept['id']} was not deleted. {kept['words']}"), icon=":material/warning:")
    found = sorted(run.result.data["files"], key=lambda one: not one["ours"])
    st.caption(f"{count(len(found), 'file')} there, {ago(run.started_at, ws.now())}; those uploaded from here come first.")
    if not found:
        return
    event = st.dataframe([{"file": one["name"], "id": one["id"], "KiB": round(one["bytes"] / 1024), "purpose": one["purpose"]}
                          for one in found], hide_index=True, on_select="rerun", selection_mode="multi-row",
                         key=f"files-{run.run_id}", alt="Files at the service")
    chosen = tuple(found[place]["id"] for place in event["selection"]["rows"])
    if st.button(f"Delete {count(len(chosen), 'file')} at the service", icon=":material/delete:", disabled=not chosen,
                 key=f"delete-{run.run_id}"):
        managed.files(ws, service, chosen)
        st.rerun()
