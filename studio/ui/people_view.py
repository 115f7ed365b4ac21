"""The team on the screen: people and invitations with their roles, the audit trail, what each role may."""

from __future__ import annotations

import streamlit as st

from studio import team
from studio.people import MAY, RIGHTS, ROLES, Role
from studio.team import Member
from studio.ui import layout
from studio.ui.formats import ago, count
from studio.workspace import Workspace

PAGE = 50
OUTCOMES = {"": "All", "done": "Done", "failed": "Failed", "refused": "Refused"}
SHORT: dict[Role, str] = {
    "owner": "Everything, people and the audit trail among it.",
    "curator": "All the work on data, models and results.",
    "labeller": "Labels records; reads data and results.",
    "reviewer": "Judges blind pairs, then sees results.",
    "viewer": "Reads all, personal data masked.",
}


def people(ws: Workspace, who: str) -> None:
    """Invite, and the list."""
    _invite(ws, who)
    found = team.every(ws)
    st.subheader(f"{count(sum(not one.address.startswith('@') for one in found), 'person', 'people')} here", anchor=False)
    for one in found:
        with layout.guarded():
            _member(ws, one, who)


def _invite(ws: Workspace, who: str) -> None:
    with st.form("invite", clear_on_submit=True, border=True):
        st.markdown("**Invite people**")
        text = st.text_area("E-mail addresses or domains", height=80, placeholder="anna@example.org, example.com",
                            help="A domain invites everybody whose verified address is there. Nothing is sent: tell them the "
                                 "address of this studio.")
        role = st.selectbox("Role", [role for role in reversed(ROLES) if role != "owner"], key="invite-role",
                            format_func=lambda role: f"{role}: {SHORT[role]}")
        if st.form_submit_button("Invite", icon=":material/person_add:", type="primary"):
            with layout.guarded():
                addresses = team.invited(text)
                for address in addresses:
                    team.give(ws, address, role, who)
                st.toast(f"Invited: {count(len(addresses), 'address', 'addresses')} as {role}." if addresses else
                         "Write an address first.")


def _member(ws: Workspace, one: Member, who: str) -> None:
    domain = one.address.startswith("@")
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container(gap="xxsmall", width="stretch"):
            name = f"Everybody at {one.address[1:]}" if domain else one.address
            st.markdown(f"**{layout.plain(name)}**" + (" (you)" if one.address == who else ""))
            through = f"through {one.through[1:]}, " if one.through else ""
            seen = "" if domain else f" · signed in {ago(one.seen_at, ws.now())}" if one.seen_at else " · not yet signed in"
            st.caption(layout.plain(f"Invited {through}by {one.who} {ago(one.said_at, ws.now())}{seen}"))
        allowed = [role for role in ROLES if not (domain and role == "owner")]
        role = st.selectbox("Role", allowed, index=allowed.index(one.role), key=f"role-{one.address}-{one.role}", width=140,
                            label_visibility="collapsed")
        if role != one.role:
            team.give(ws, one.address, role, who)
            st.rerun()
        with st.popover("Remove", icon=":material/person_remove:", key=f"remove-{one.address}"):
            st.markdown("They may do nothing here from now on, also where they are signed in. What they did stays.")
            if st.button("Remove now", type="primary", key=f"remove-now-{one.address}"):
                team.remove(ws, one.address, who)
                st.rerun()


def trail(ws: Workspace) -> None:
    """Every act, the newest first."""
    people_there, acts = team.noted(ws)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        whose = st.selectbox("Who", ["", *people_there], format_func=lambda one: one or "Everybody", width=280, key="whose")
        act = st.selectbox("Act", ["", *acts], format_func=lambda one: one or "Every act", width=240, key="act")
        outcome = st.segmented_control("Outcome", list(OUTCOMES), default="", format_func=OUTCOMES.__getitem__, required=True)
    total, _ = team.trail(ws, whose, act, outcome, 0)
    pages = max(1, -(-total // PAGE))
    number = int(st.number_input(f"Page of {pages:,}", 1, pages, 1, width=130, key=f"trail-{pages}")) if pages > 1 else 1
    _, rows = team.trail(ws, whose, act, outcome, PAGE, (number - 1) * PAGE)
    st.caption(f"{count(total, 'act')}. Acts and ids, never texts; looking is not noted, taking out is.")
    st.dataframe([{"when": one.said_at, "who": one.who, "role": one.role, "act": one.act, "what": one.subject,
                   "outcome": one.outcome} for one in rows], hide_index=True, alt="Acts",
                 column_config={"when": st.column_config.DatetimeColumn("when (UTC)", format="YYYY-MM-DD HH:mm:ss")})
    with st.container(horizontal=True):
        st.download_button("These as CSV", lambda: team.trail_csv(ws, whose, act, outcome), "audit.csv", "text/csv",
                           icon=":material/download:", on_click="ignore")
        if st.button("Hold it against the journal", icon=":material/verified:",
                     help="The journal's lines are chained by their hashes: a changed or missing one shows."):
            _checked(team.differing(ws))


def _checked(differing: int) -> None:
    if differing:
        st.error(f"{count(differing, 'act')} in the database and the journal differ: somebody changed one of them outside the "
                 "studio. Keep a copy of the workspace's folder as it is.", icon=":material/error:")
    else:
        st.success("Every act is in the journal as it is here, and the journal's chain is whole.", icon=":material/verified:")


def roles() -> None:
    """What each role may: the table that the nouns enforce."""
    rows = [f"| {words} | " + " | ".join("yes" if right in MAY[role] else "–" for role in ROLES) + " |"
            for right, words in RIGHTS.items()]
    st.markdown("\n".join((f"| May | {' | '.join(ROLES)} |", "|---" * (len(ROLES) + 1) + "|", *rows)))
    st.caption("A reviewer sees no data and no results while any review session here is blind. Viewers and reviewers "
               "see records with open findings of personal data, or that were not checked, masked. A change of role counts at "
               "once.")
