"""Files of tickets become records: choose them, check the guesses, choose rows, import, see what became of every row."""

from pathlib import Path

import streamlit as st

from studio import arrivals, intake, portrait
from studio.arrivals import Arrival
from studio.ui import import_form, layout, session
from studio.ui.formats import count

KINDS = ["csv", "tsv", "txt", "xlsx", "json", "jsonl", "ndjson", "parquet"]

ws = session.workspace()
layout.header(ws, "Import", "Bring in tickets from any export. Nothing is changed until you press Import.", "imported")

earlier = intake.imports(ws)
token, import_id = st.query_params.get("arrival"), st.query_params.get("import")


def begin(arrival: Arrival) -> None:
    arrivals.wait(arrival, 2.0)
    st.query_params.from_dict({"arrival": arrival.token})
    st.rerun()


def choose_files() -> None:
    upload, server, sample = st.tabs(["Upload files", "Files on this machine", "The sample"])
    uploaded = upload.file_uploader("CSV, TSV, Excel, JSON, JSONL or Parquet", type=KINDS, key=f"upload-{len(earlier)}",
                                    accept_multiple_files=True, help="Up to 500 MB. They stay on this machine.")
    typed = server.text_input("Path of a file or a folder", placeholder="/data/tickets.csv", key="path", bind="query-params",
                              help="For files too large to upload: they are read where they are.")
    with sample:
        st.markdown("About 650 made-up tickets with ratings, threads, near-twins and a few bad rows.")
        if st.button("Import the sample"):
            st.query_params.from_dict({"import": intake.import_sample(ws).import_id})
            st.rerun()
    if uploaded:
        begin(arrivals.receive(ws, [(file.name, file.getbuffer()) for file in uploaded]))
    if typed:
        begin(arrivals.open_paths(ws, [Path(typed).expanduser()]))


def moving(arrival: Arrival) -> None:
    def part() -> None:
        if not arrival.moving:
            st.rerun()
        st.progress(min(1.0, arrival.progress), text=layout.plain(f"{arrival.names}: {arrival.sentence}"))

    layout.refresh_while(True, part)
    if st.button("Cancel"):
        arrivals.cancel(ws, arrival)
        st.query_params.clear()
        st.rerun()


def give_up(label: str, arrival: Arrival) -> None:
    if st.button(label):
        arrivals.discard(ws, arrival)
        st.query_params.clear()
        st.rerun()


def ready(arrival: Arrival) -> None:
    st.subheader("Check the columns", anchor=False)
    import_form.written_as(ws, arrival, arrival.staging)
    if arrival.error:
        layout.error(arrival.error)
    choices = import_form.choose(arrival.staging, arrival.preview, arrival.token)
    st.dataframe(arrival.preview.head, hide_index=True, row_height=44, alt="The first rows of the file")
    with layout.guarded():
        with st.spinner("Counting what would come in…"):
            found = intake.outlook(ws, arrival.staging, choices)
        import_form.outlook(found)
        if st.button(f"Import {count(found.conversations_passing, 'conversation')}", type="primary"):
            arrivals.begin_import(ws, arrival, choices)
            arrivals.wait(arrival, 2.0)
            st.rerun()
    give_up("Choose other files", arrival)


def arrived(arrival: Arrival) -> None:
    if arrival.moving:
        moving(arrival)
    elif arrival.state == "done":
        arrivals.discard(ws, arrival)
        st.query_params.from_dict({"import": arrival.report.import_id})
        st.rerun()
    elif arrival.staging:
        ready(arrival)
    else:
        layout.error(arrival.error)
        give_up("Choose other files", arrival)


def outcome(report: intake.Report) -> None:
    with st.container(border=True):
        st.subheader(f"Imported {layout.plain(report.source_name)}", anchor=False)
        import_form.report(report, intake.filtered_reasons(ws, report.import_id))
        import_form.refused(ws, report)
        layout.go("Read the records", "pages/curate.py", primary=True)
    import_form.checks(ws)
    if seen := portrait.of_import(ws, report.import_id):
        import_form.portrait(seen)
    layout.link("Import other files", "pages/import_tickets.py")


arrival = arrivals.find(ws, token) if token else None
if arrival:
    arrived(arrival)
elif import_id:
    outcome(intake.get(ws, import_id))
else:
    if token:
        st.warning("Those files are not waiting any more: the studio was restarted, or they were discarded. Choose them again.")
    choose_files()
if earlier and not arrival:
    st.subheader("Imports so far", anchor=False)
    st.dataframe(import_form.table(earlier), hide_index=True, alt="Imports so far")
