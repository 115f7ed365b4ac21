"""The tables of a studio that a team shares. Steps of `studio/migrations.py`."""

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

# Ray clusters, under a name; where each run runs (JSON, empty: this machine).
CLUSTER = """
create table clusters (
    cluster_id varchar primary key, seq bigint not null, name varchar not null, cluster varchar not null, who varchar not null,
    said_at timestamp not null);
alter table runs add column place varchar default '';
"""

# Where backups go, how often, and how many are kept: the newest word counts, and only in the folder it was said for (a restored
# copy must not touch the backups of the one it came from). A backup as it ended; `gone_at` where the studio deleted it.
SERVER = """
create table backup_plans (
    press_id varchar primary key, seq bigint not null, folder varchar not null, hours double not null, kept integer not null,
    models boolean not null, active boolean not null, root varchar not null, who varchar not null, said_at timestamp not null);
create table backups (
    backup_id varchar primary key, path varchar not null, taken_at timestamp not null, journal bigint not null,
    files bigint not null, bytes bigint not null, seconds double not null, models boolean not null, scheduled boolean not null,
    who varchar not null, problem varchar not null, gone_at timestamp);
"""
