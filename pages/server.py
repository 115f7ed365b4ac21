"""What a studio that is left running needs: backups and their age, workspaces, how it is reached."""

from studio import backups, folders
from studio.ui import layout, server_view, session

ws = session.workspace()
layout.header(ws, "Server", "A studio that is left running: its backups, its workspaces, and how people reach it.")
who = session.person()
known, plan = backups.every(ws), backups.plan(ws)

left, right = server_view.columns()
with left:
    server_view.newest(ws, known, plan)
    server_view.take(ws, known, plan, who)
    server_view.listed(ws, known)
with right:
    server_view.schedule(ws, known, plan, who)
    if folders.home():
        server_view.workspaces(ws)
    server_view.reached()
