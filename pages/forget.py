"""A customer asked to be forgotten: find what is theirs, see what hangs on it, take it out everywhere, for good."""

import streamlit as st

from studio import customers, forgetting, logs, records, traffic
from studio.customers import Customer
from studio.forgetting import Forgotten
from studio.ui import layout, server_view, session
from studio.ui.formats import ago, count, excerpt

SHOWN = 200

ws = session.workspace()
layout.header(ws, "Forget", "When a customer asks for it: their data leaves every table, snapshot, run and raw file of this "
              "workspace. This is the one act that cannot be undone.", "kept")
earlier = forgetting.every(ws)
if not records.counts(ws).total and not logs.sources(ws, 1) and not earlier:
    layout.empty("Nobody's data is here yet.", "Import tickets", "pages/import_tickets.py")
    st.stop()


def listed(title: str, record_ids: tuple[str, ...]) -> None:
    st.markdown(f"**{title}: {len(record_ids):,}**")
    found = records.every(ws, record_ids[:SHOWN])
    st.dataframe([{"record": layout.record_address(one.record_id), "ticket": one.external_id, "customer": excerpt(one.question),
                   "agent": excerpt(one.answer)} for one in found], hide_index=True, alt=title,
                 column_config={"record": layout.record_column()})
    if len(record_ids) > SHOWN:
        st.caption(f"The first {SHOWN} of {len(record_ids):,} are listed; all of them are meant.")


def choose(customer: Customer) -> list[str]:
    if customer.own:
        listed("Their own conversations", customer.own)
    if customer.mentions:
        listed("Conversations of others that name them", customer.mentions)
    also = bool(customer.mentions) and st.checkbox("Forget the conversations that name them too", value=True)
    meant = [*customer.own, *(customer.mentions if also else ())]
    spared = st.multiselect("Leave these out", meant, placeholder="none", help="For somebody else of the same name, say.")
    return [one for one in meant if one not in spared]


def confirm(customer: Customer, record_ids: list[str]) -> None:
    if len(customer.emails) > 1:
        addresses = layout.plain(", ".join(customer.emails))
        st.warning(f"Their tickets bear {len(customer.emails)} different addresses: {addresses}. If that is more than one "
                   "person, look for the address instead of the name.", icon=":material/group:")
    st.subheader("What goes", anchor=False)
    with st.spinner("Looking through the kept files…"):
        files = forgetting.raw_files(ws, customer, record_ids)
    parts = customers.sentences(ws, customer, record_ids)
    parts.append(f"{count(len(files), 'kept copy', 'kept copies')} of imported or validated files, whole. Records of others "
                 "that came from them stay; the files outside this workspace are yours to see to."
                 if files else "No kept file holds them.")
    st.markdown("\n".join(f"- {layout.plain(part)}" for part in parts))
    st.caption("The next export of the same desk does not bring them back: a salted hash of each ticket and address stays "
               "for that. Backups are not reached from here: afterwards those that still hold them are listed.")
    sure = st.checkbox("I know that this cannot be undone", key=f"sure-{'-'.join(customer.said)}")
    what = count(len(record_ids), "conversation") if record_ids else "these rows"
    if st.button(f"Forget {what} for good", type="primary", disabled=not sure,
                 icon=":material/person_remove:"):
        with st.spinner("Taking it out of tables, files and the database itself…"):
            done = forgetting.forget(ws, customer, record_ids, session.person())
        st.query_params.from_dict({"done": done.forget_id})
        st.rerun()


def row(one: Forgotten) -> dict[str, object]:
    return {"when": ago(one.said_at, ws.now()), "by": one.who, "conversations": one.records,
            "lines of snapshots": one.snapshot_lines, "files": one.files, "id": one.forget_id}


if done := next((one for one in earlier if one.forget_id == st.query_params.get("done")), None):
    st.success(f"**Forgotten:** {count(done.records, 'conversation')}, {count(done.snapshot_lines, 'line')} of snapshots, "
               f"{count(done.files, 'file')}. Nothing here says any more who it was.", icon=":material/check:")
    server_view.still_held(ws, forgetting.in_backups(ws, done))
words = st.text_input("E-mail address, name or ticket number", max_chars=200, placeholder="ana@example.com", width=460,
                      key=f"words-{len(earlier)}")
if words:
    with layout.guarded():
        with st.spinner("Looking through every wording…"):
            customer = customers.find(ws, words)
        in_logs = traffic.about(ws, customer.said)
        if customer.own or customer.mentions or in_logs:
            chosen = choose(customer)
            if chosen or in_logs:
                confirm(customer, chosen)
        else:
            st.info("Nothing here is theirs or names them.", icon=":material/search_off:")
if earlier:
    st.subheader("Forgotten so far", anchor=False)
    st.dataframe([row(one) for one in earlier], hide_index=True, alt="Customers forgotten so far")
