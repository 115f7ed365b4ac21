"""The tables of what is live: what production says of the model. Steps of `studio/migrations.py`."""

from __future__ import annotations

# Production logs. A row is one answered question; its id is the hash of what it says, so that the same rows come in once. There
# is no index on it: a million rows are compared in one join. `rating` is -1, 0 or 1, `score` the number it was given on its own
# scale. `person` is whom the desk says it was for. What somebody sent to the records is in `log_queued`.
MONITORING = """
create table log_sources (
    source_id varchar primary key, name varchar not null, sha256 varchar not null, shape varchar not null, how varchar not null,
    columns varchar not null, rows_in bigint not null, rows_added bigint not null, rows_already bigint not null,
    rows_refused bigint not null, bytes bigint not null, who varchar not null, read_at timestamp not null);
create table log_refused (
    source_id varchar not null, line bigint not null, reason varchar not null, excerpt varchar not null);
create table log_rows (
    row_id varchar not null, source_id varchar not null, happened_at timestamp, model varchar not null, slice varchar not null,
    question varchar not null, answer varchar not null, messages varchar not null, rating tinyint, score double,
    success boolean,
    latency_s double, prompt_tokens integer, new_tokens integer, cost double, money varchar not null, person varchar not null,
    request_id varchar not null);
create table log_queued (
    row_id varchar primary key, record_id varchar not null, why varchar not null, who varchar not null,
    queued_at timestamp not null);
create table log_folders (
    press_id varchar primary key, seq bigint not null, folder_id varchar not null, path varchar not null,
    watched boolean not null, who varchar not null, said_at timestamp not null);
create table log_files (
    path varchar primary key, size bigint not null, changed_ns bigint not null, upto bigint not null, head varchar not null,
    problem varchar not null);
create table log_targets (
    target_id varchar primary key, seq bigint not null, measure varchar not null, bound double, model varchar not null,
    slice varchar not null, least integer not null, hours double not null, who varchar not null, said_at timestamp not null);
create table production_models (
    choice_id varchar primary key, seq bigint not null, model varchar not null, who varchar not null,
    said_at timestamp not null);
create table alerts (
    alert_id varchar primary key, subject varchar not null, kind varchar not null, sentence varchar not null,
    reason varchar not null, evidence varchar not null, row_ids varchar not null, opened_at timestamp not null,
    over_at timestamp);
create table alert_words (
    word_id varchar primary key, seq bigint not null, alert_id varchar not null, note varchar not null, who varchar not null,
    said_at timestamp not null);
create table webhooks (
    press_id varchar primary key, seq bigint not null, hook_id varchar not null, address varchar not null,
    address_env varchar not null, active boolean not null, who varchar not null, said_at timestamp not null);
create table webhook_calls (
    call_id varchar primary key, hook_id varchar not null, alert_id varchar not null, tries integer not null,
    outcome varchar not null, words varchar not null, called_at timestamp not null);
"""
