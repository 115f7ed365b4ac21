"""The tables of a studio that grew past one machine and one person. Steps of `studio/migrations.py`."""

from __future__ import annotations

# Ray clusters, under a name; where each run runs (JSON, empty: this machine).
CLUSTER = """
create table clusters (
    cluster_id varchar primary key, seq bigint not null, name varchar not null, cluster varchar not null, who varchar not null,
    said_at timestamp not null);
alter table runs add column place varchar default '';
"""
