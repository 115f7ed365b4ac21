"""A file of tickets becomes records: choose it, check the guessed columns, import, see what became of every row."""

from pathlib import Path

import streamlit as st

from studio import intake
from studio.intake import Choices, Columns, Preview
from studio.ui import layout, session
from studio.ui.formats import count

ROLES = {"message": "Customer message", "answer": "Agent's answer", "rating": "Rating", "ticket": "Ticket id", "tags": "Tags"}

ws = session.workspace()
layout.header(ws, "Import", "Bring in tickets from a CSV file. Nothing is changed until you press Import.", "imported")

earlier = intake.imports(ws)
upload, server, sample = st.tabs(["Upload a file", "A file on this machine", "The sample"])
uploaded = upload.file_uploader("CSV file", type=["csv", "tsv", "txt"], key=f"upload-{len(earlier)}",
                                help="Up to 500 MB. It stays on this machine.")
typed = server.text_input("Path of the file", placeholder="/data/tickets.csv", key="path", bind="query-params")
with sample:
    st.markdown("About 650 made-up tickets with ratings, threads, near-twins and a few bad rows.")
    if st.button("Import the sample"):
        st.query_params["import"] = intake.import_sample(ws).import_id
        st.rerun()

path = intake.save_upload(ws, uploaded.name, uploaded.getvalue()) if uploaded else Path(typed).expanduser() if typed else None


def choose_columns(found: Preview) -> Columns:
    with st.container(horizontal=True):
        chosen = {role: st.selectbox(label, found.table.columns, index=layout.place(found.table.columns, guess), width=190,
                                     placeholder="none" if role not in ("message", "answer") else "choose one",
                                     key=f"column-{role}-{found.table.path}")
                  for (role, label), guess in zip(ROLES.items(), found.guess.in_order, strict=True)}
    return Columns(chosen["message"], chosen["answer"], chosen["rating"], chosen["ticket"], chosen["tags"])


def choose(found: Preview) -> Choices:
    columns = choose_columns(found)
    prompt = st.text_area("System prompt", intake.DEFAULT_SYSTEM_PROMPT, height=80,
                          help="Put before every conversation, in training and in use. Leave it empty for none.")
    low, unrated, join = None, True, True
    if columns.rating:
        scale = intake.rating_scale(found, columns.rating)
        low = st.number_input("Lowest rating to import", value=scale.suggested, min_value=scale.low,
                              max_value=scale.high, step=1.0, width=260,
                              help=f"Ratings in this file run from {scale.low:g} to {scale.high:g}.")
        unrated = st.checkbox("Also import conversations without a rating", value=False)
    if columns.ticket:
        join = st.checkbox("Rows with the same ticket id are one conversation", value=True)
    return Choices(columns, prompt, low, unrated, join)


def preview(file: Path) -> None:
    found = intake.preview(file)
    st.subheader("Check the columns", anchor=False)
    st.caption(f"{layout.plain(file.name)}: {count(found.rows, 'row')}, {found.table.written_as}. "
               "The columns below were guessed from names and content; correct what is wrong.")
    choices = choose(found)
    st.dataframe(found.head, hide_index=True, row_height=44, alt="The first rows of the file")
    if st.button(f"Import {count(found.rows, 'row')}", type="primary"):
        st.query_params.from_dict({"import": intake.import_file(ws, file, file.name, choices).import_id})
        st.rerun()


def outcome(import_id: str) -> None:
    report, refused = intake.get(ws, import_id), intake.refused_rows(ws, import_id)
    with st.container(border=True):
        st.subheader(f"Imported {layout.plain(report.source_name)}", anchor=False)
        st.markdown(f"**{count(report.conversations, 'conversation')}** came in. {report.rows_in:,} rows = "
                    f"{report.rows_imported:,} imported + {report.rows_filtered:,} below the rating + "
                    f"{report.rows_refused:,} refused + {report.rows_already_here:,} already here.")
        if refused:
            with st.expander(f"{count(len(refused), 'refused row')}, with line number and reason", expanded=True):
                st.dataframe([{"line": row.line, "reason": row.reason, "begins with": row.excerpt} for row in refused],
                             hide_index=True, alt="Refused rows")
        layout.go("Read the records", "pages/curate.py", primary=True)


if path is not None and "import" not in st.query_params:
    preview(path)
if "import" in st.query_params:
    outcome(st.query_params["import"])
    if st.button("Import another file"):
        st.query_params.clear()
        st.rerun()
if earlier:
    st.subheader("Imports so far", anchor=False)
    st.dataframe([{"file": r.source_name, "rows": r.rows_in, "imported": r.rows_imported, "filtered": r.rows_filtered,
                   "refused": r.rows_refused, "already here": r.rows_already_here, "conversations": r.conversations}
                  for r in earlier], hide_index=True, alt="Imports so far")
