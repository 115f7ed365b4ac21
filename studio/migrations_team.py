"""The tables of a team: its people and what they did. Steps of `studio/migrations.py`."""

from __future__ import annotations

# One word on the role of an address, or of all addresses of a domain ("@example.org"); the newest counts, an empty one takes
# the role away. The audit trail: one act, with ids and without texts.
PEOPLE = """
create table people (
    press_id varchar primary key, seq bigint not null, address varchar not null, role varchar not null, who varchar not null,
    said_at timestamp not null);
create table audit (
    act_id varchar primary key, seq bigint not null, who varchar not null, role varchar not null, act varchar not null,
    subject varchar not null, outcome varchar not null, said_at timestamp not null);
"""
