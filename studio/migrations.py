"""The workspace's schema, one numbered step at a time. A step that has landed is never edited; the next one mends it."""

from __future__ import annotations

from studio.migrations_live import MANAGED, MONITORING
from studio.migrations_team import CLUSTER
from studio.rebuilds import REBUILD_NOW

FIRST_TABLES = """
create table imports (
    import_id varchar primary key, source_name varchar not null, source_sha256 varchar not null,
    choices varchar not null, rows_in bigint not null, rows_imported bigint not null, rows_filtered bigint not null,
    rows_refused bigint not null, rows_already_here bigint not null, conversations bigint not null,
    imported_at timestamp not null);
create table refused_rows (
    import_id varchar not null, line bigint not null, reason varchar not null, excerpt varchar not null);
create table records (
    record_id varchar primary key, import_id varchar not null, source_line bigint not null, external_id varchar,
    rating double, tags varchar, position bigint not null);
create table record_versions (
    record_id varchar not null, version integer not null, messages varchar not null, who varchar not null,
    batch_id varchar, written_at timestamp not null, primary key (record_id, version));
create table decisions (
    decision_id varchar primary key, seq bigint not null, record_id varchar not null, decision varchar not null,
    who varchar not null, batch_id varchar not null, decided_at timestamp not null);
create table curation_batches (
    batch_id varchar primary key, seq bigint not null, who varchar not null, what varchar not null,
    undoes varchar, said_at timestamp not null);
create view current_records as
    select r.*, v.version, v.messages, coalesce(d.decision, 'undecided') as decision
    from records r
    join (select record_id, max(version) as version, arg_max(messages, version) as messages
          from record_versions group by record_id) v using (record_id)
    left join (select record_id, arg_max(decision, seq) as decision from decisions group by record_id) d
        using (record_id);
create table snapshots (
    snapshot_id varchar primary key, name varchar not null, manifest varchar not null, folder varchar not null,
    train bigint not null, validation bigint not null, test bigint not null, frozen_at timestamp not null);
create table snapshot_items (
    snapshot_id varchar not null, split varchar not null, position bigint not null, record_id varchar not null,
    version integer not null, line_sha256 varchar not null, primary key (snapshot_id, split, position));
create table models (
    model_id varchar primary key, name varchar not null, kind varchar not null, base varchar not null,
    adapter varchar, run_id varchar, fingerprint varchar, facts varchar not null, added_at timestamp not null);
create table runs (
    run_id varchar primary key, kind varchar not null, title varchar not null, snapshot_id varchar not null,
    spec varchar not null, folder varchar not null, started_at timestamp not null);
create table run_results (
    run_id varchar not null, attempt integer not null, outcome varchar not null, message varchar not null,
    hint varchar not null, data varchar not null, ended_at timestamp not null, collected_at timestamp not null,
    primary key (run_id, attempt));
create table outputs (
    run_id varchar not null, model_id varchar not null, item_id varchar not null, text varchar not null,
    new_tokens integer not null, seconds double not null, finish varchar not null,
    primary key (run_id, model_id, item_id));
create table scores (
    run_id varchar not null, model_id varchar not null, item_id varchar not null, metric varchar not null,
    value double, label varchar, primary key (run_id, model_id, item_id, metric));
create table review_sessions (
    session_id varchar primary key, run_id varchar not null, model_a varchar not null, model_b varchar not null,
    who varchar not null, items bigint not null, started_at timestamp not null);
create table review_pairs (
    pair_id varchar primary key, session_id varchar not null, position bigint not null, item_id varchar not null,
    left_is_a boolean not null);
create table reviews (
    review_id varchar primary key, seq bigint not null, session_id varchar not null, pair_id varchar not null,
    verdict varchar not null, note varchar not null, who varchar not null, said_at timestamp not null);
create table review_reveals (session_id varchar primary key, who varchar not null, revealed_at timestamp not null);
"""

# Keys of the two tables that grow with an import cost more than the import itself; both are only written under the write
# lock by code that looks first. Imported wordings know their record's position, so that a page reads only its neighbourhood;
# the few that people write do not. `record_now` is what `current_records` used to work out anew for every question.
IMPORTS_OF_ANY_SIZE = """
drop view current_records;
create table new_records (
    record_id varchar not null, import_id varchar not null, source_line bigint not null, external_id varchar,
    rating double, tags varchar, position bigint not null, status varchar, happened_at timestamp);
insert into new_records select *, null, null from records;
drop table records;
alter table new_records rename to records;
create table new_versions (
    record_id varchar not null, version integer not null, messages varchar not null, who varchar not null,
    batch_id varchar, written_at timestamp not null, position bigint);
insert into new_versions select *, null from record_versions;
drop table record_versions;
alter table new_versions rename to record_versions;
create table record_now (
    record_id varchar not null, position bigint not null, import_id varchar not null, rating double, tags varchar,
    version integer not null, decision varchar not null);
create view current_records as
    select r.record_id, r.import_id, r.source_line, r.external_id, r.rating, r.tags, r.position, r.status, r.happened_at,
           n.version, v.messages, n.decision
    from record_now n join records r using (record_id)
    join record_versions v on v.record_id = n.record_id and v.version = n.version;
create table record_people (record_id varchar not null, name varchar, email varchar);
alter table imports add column rows_updated bigint default 0;
alter table imports add column rows_kept_by_hand bigint default 0;
alter table imports add column desk varchar default '';
alter table imports add column written_as varchar default '';
alter table refused_rows add column source_name varchar default '';
create table filtered_rows (import_id varchar not null, reason varchar not null, row_count bigint not null);
create table mappings (
    mapping_id varchar primary key, name varchar not null, shape varchar not null, choices varchar not null,
    saved_at timestamp not null);
"""

# What a check found is derived and is replaced when a record is checked again; what people say of it is insert-only.
FINDINGS = """
create table check_items (run_id varchar not null, record_id varchar not null, version integer not null, look boolean not null);
create table checked_now (record_id varchar not null, version integer not null, run_id varchar not null);
create table findings (
    record_id varchar not null, version integer not null, kind varchar not null, turn integer not null,
    start integer not null, end_ integer not null, score double not null, evidence varchar not null, replacement varchar,
    run_id varchar not null);
create table finding_thresholds (
    threshold_id varchar primary key, seq bigint not null, kind varchar not null, threshold double not null,
    who varchar not null, said_at timestamp not null);
create table finding_dismissals (
    dismissal_id varchar primary key, seq bigint not null, record_id varchar not null, kind varchar not null,
    turn integer not null, start integer not null, end_ integer not null, dismissed boolean not null, who varchar not null,
    said_at timestamp not null);
create view dismissed_now as
    select record_id, kind, turn, start, end_ from finding_dismissals
    group by record_id, kind, turn, start, end_ having arg_max(dismissed, seq);
create table accepted_findings (
    accepted_id varchar primary key, seq bigint not null, snapshot_id varchar not null, open_records bigint not null,
    unchecked_records bigint not null, who varchar not null, said_at timestamp not null);
"""

SURROGATES = """
create table surrogates (record_id varchar not null, value varchar not null);
"""

# Salted hashes of record ids and addresses that must not come in again; nothing in it says who they were.
FORGETTING = """
create table forgetting_salt as select uuid()::varchar as salt;
create table forgotten (sha256 varchar not null, forget_id varchar not null);
create table forgettings (
    forget_id varchar primary key, seq bigint not null, records bigint not null, snapshot_lines bigint not null,
    files bigint not null, who varchar not null, said_at timestamp not null);
"""

# What a search found is derived and is replaced by the next search of the same side; what people say of it is insert-only.
# `copy_of` is the record that stands for all word-for-word copies (itself for all others); pairs are between those.
# `other_text` is a hash of the other side's words, for records that have twins: copies that differ in it conflict.
DUPLICATES = """
create table duplicate_items (run_id varchar not null, record_id varchar not null, version integer not null);
create table duplicate_texts (
    side varchar not null, record_id varchar not null, version integer not null, copy_of varchar not null,
    other_text ubigint);
create table duplicate_pairs (
    side varchar not null, kind varchar not null, a varchar not null, b varchar not null, similarity float not null,
    other_similarity float);
create table duplicate_groups (
    side varchar not null, group_id varchar not null, record_id varchar not null, similarity float not null);
create table duplicate_thresholds (
    threshold_id varchar primary key, seq bigint not null, side varchar not null, kind varchar not null,
    threshold double not null, who varchar not null, said_at timestamp not null);
create table duplicate_dismissals (
    dismissal_id varchar primary key, seq bigint not null, side varchar not null, group_key varchar not null,
    dismissed boolean not null, who varchar not null, said_at timestamp not null);
"""

# A card is what a snapshot was like when it was frozen; a leak is a line of test or validation that resembles one of train.
# What people say of leaks belongs to one plan, which has a hash before it has a snapshot. `wording_keys` holds hashes of
# wordings, which never change: derived, added to when something new is planned, so that planning reads no texts.
CARDS_AND_LEAKS = """
create table snapshot_cards (snapshot_id varchar primary key, card varchar not null, made_at timestamp not null);
create table leaks (
    snapshot_id varchar not null, split varchar not null, item_id varchar not null, train_id varchar not null,
    kind varchar not null, similarity float not null, other_similarity float, run_id varchar not null);
create table leak_decisions (
    decision_id varchar primary key, seq bigint not null, plan varchar not null, item_id varchar not null,
    decision varchar not null, who varchar not null, said_at timestamp not null);
create table wording_keys (
    record_id varchar not null, version integer not null, line varchar not null, conversation varchar not null,
    question varchar not null);
alter table imports add column synthetic boolean default false;
"""

# What people said of records under a label set. An answer keeps the version of the set and of the wording it was given under.
# `batch_id` is the press; a row of state 'undone' takes back the row `undoes`. `label_now` is each person's newest standing
# word of a record, kept up with every press; its `seq` is that of the last change, so that a queue in memory sees what is new.
LABELS = """
create table label_sets (
    version_id varchar primary key, seq bigint not null, set_id varchar not null, version integer not null,
    definition varchar not null, who varchar not null, said_at timestamp not null);
create table labels (
    label_id varchar primary key, seq bigint not null, batch_id varchar not null, set_id varchar not null,
    set_version integer not null, record_id varchar not null, record_version integer not null, answer varchar not null,
    state varchar not null, suggested varchar, seconds double, undoes varchar, who varchar not null,
    said_at timestamp not null);
create table label_now (
    set_id varchar not null, record_id varchar not null, position bigint not null, who varchar not null,
    label_id varchar not null, seq bigint not null, set_version integer not null, record_version integer not null,
    answer varchar not null, state varchar not null, suggested varchar, seconds double, said_at timestamp not null);
create table record_marks (
    mark_id varchar primary key, seq bigint not null, record_id varchar not null, kind varchar not null, value varchar not null,
    standing boolean not null, undoes varchar, who varchar not null, said_at timestamp not null);
create view marks_now as
    select record_id, kind, value, who, mark_id, seq, said_at from (
        select *, row_number() over (partition by record_id, kind, case when kind in ('tag', 'comment') then value end, who
                                     order by seq desc) as place
        from record_marks m where undoes is null and not exists (from record_marks u where u.undoes = m.mark_id))
    where place = 1 and standing;
create table adjudications (
    adjudication_id varchar primary key, seq bigint not null, set_id varchar not null, record_id varchar not null,
    answer varchar not null, undoes varchar, who varchar not null, said_at timestamp not null);
create view settled_now as
    select set_id, record_id, arg_max(answer, seq) as answer, arg_max(who, seq) as who, max(seq) as seq
    from adjudications a where undoes is null and not exists (from adjudications u where u.undoes = a.adjudication_id)
    group by set_id, record_id;
create table key_maps (
    map_id varchar primary key, seq bigint not null, who varchar not null, keys varchar not null, said_at timestamp not null);
create table suggestions (
    set_id varchar not null, field varchar not null, record_id varchar not null, record_version integer not null,
    value varchar not null, confidence double not null, rank bigint not null, run_id varchar not null);
create table label_doubts (
    set_id varchar not null, field varchar not null, record_id varchar not null, given varchar not null,
    likely varchar not null, doubt double not null, run_id varchar not null);
"""

# The index of words (`studio/search.py`): derived, and behind by what `words_read` and `words_unread` say.
SEARCH = """
create table record_words (word varchar not null, position bigint not null);
create table record_sizes (position bigint not null, characters integer not null);
create table words_unread (position bigint not null, version integer not null);
create table words_read (up_to bigint not null);
insert into words_read values (0);
"""

# Dials that somebody saved under a name (empty: deleted; the newest of a name counts), runs that were started together, and
# what an hour of the machine costs.
TRAINING = """
create table training_presets (
    preset_id varchar primary key, seq bigint not null, name varchar not null, dials varchar not null, who varchar not null,
    said_at timestamp not null);
create table run_groups (
    group_id varchar primary key, name varchar not null, snapshot_id varchar not null, started_at timestamp not null);
alter table runs add column group_id varchar default '';
create table hour_prices (
    price_id varchar primary key, seq bigint not null, per_hour double not null, money varchar not null, who varchar not null,
    said_at timestamp not null);
"""

# Many marks of one act, so that it can be undone whole. A flag and a tag are the record's: anybody may take them off. What was
# said of one record is found by an index: an undo among a million labels took 105 ms, and 100,000 labels take 40 ms longer.
ACTS_OF_MARKING = """
drop view marks_now;
alter table record_marks add column batch_id varchar;
create view marks_now as
    select record_id, kind, value, who, mark_id, seq, said_at from (
        select *, row_number() over (
            partition by record_id, kind, case when kind in ('tag', 'comment') then value end,
                         case when kind in ('rating', 'comment') then who end order by seq desc) as place
        from record_marks m where undoes is null and not exists (from record_marks u where u.undoes = m.mark_id))
    where place = 1 and standing;
create index labels_of_record on labels (record_id);
create index marks_of_record on record_marks (record_id);
"""

# A candidate is a model with a prompt. An answer knows what it depends on (`answer_key`), so that it is never made twice, what
# it took, and, of a local model, how likely the reference and each label were. Scores are one row a metric, and may come later.
# What people say: functions that score, rubrics of judges, prompts; the newest of a name counts, empty ones are deleted.
CANDIDATES = """
create table outputs_now (
    run_id varchar not null, candidate_id varchar not null, item_id varchar not null, sample integer not null,
    text varchar not null, new_tokens integer not null, prompt_tokens integer, seconds double not null, finish varchar not null,
    answer_key varchar not null, reused boolean not null, cost double, reference_nats double, reference_tokens integer,
    label_scores varchar, primary key (run_id, candidate_id, item_id, sample));
insert into outputs_now
    select run_id, model_id, item_id, 0, text, new_tokens, null, seconds, finish, '', false, null, null, null, null
    from outputs;
drop table outputs;
alter table outputs_now rename to outputs;
create index outputs_by_key on outputs (answer_key);
create table scores_now (
    run_id varchar not null, candidate_id varchar not null, item_id varchar not null, sample integer not null,
    metric varchar not null, value double, label varchar);
insert into scores_now select run_id, model_id, item_id, 0, metric, value, label from scores;
drop table scores;
alter table scores_now rename to scores;
create table judgements (
    judge_run_id varchar not null, evaluation_id varchar not null, item_id varchar not null, candidate_a varchar not null,
    candidate_b varchar not null, winner varchar, flipped boolean, score double, reason varchar not null, cost double);
create table own_metrics (
    own_metric_id varchar primary key, seq bigint not null, name varchar not null, code varchar not null, who varchar not null,
    said_at timestamp not null);
create table rubrics (
    rubric_id varchar primary key, seq bigint not null, name varchar not null, mode varchar not null, text varchar not null,
    who varchar not null, said_at timestamp not null);
create table system_prompts (
    prompt_id varchar primary key, seq bigint not null, name varchar not null, text varchar not null, who varchar not null,
    said_at timestamp not null);
"""

# A session compares two or more candidates; a pair is one item and two of them; a card is a pair as one person gets it, with an
# order of its own. `again` marks a hidden repeat. A verdict is said of a card; `data` holds scores, marks, the better answer.
# Records may be written here, and be tied to a part of every later snapshot.
REVIEW_DECKS = """
create table new_sessions (
    session_id varchar primary key, run_id varchar not null, name varchar not null, candidates varchar not null,
    settings varchar not null, who varchar not null, items bigint not null, same bigint not null,
    started_at timestamp not null);
insert into new_sessions
    select session_id, run_id, '', to_json([model_a, model_b])::varchar, '{}', who, items, 0, started_at from review_sessions;
create table new_pairs (
    pair_id varchar primary key, session_id varchar not null, position bigint not null, item_id varchar not null,
    a varchar not null, b varchar not null);
insert into new_pairs
    select p.pair_id, p.session_id, p.position, p.item_id, s.model_a, s.model_b
    from review_pairs p join review_sessions s using (session_id);
create table review_cards (
    card_id varchar primary key, session_id varchar not null, pair_id varchar not null, who varchar not null,
    position bigint not null, left_is_a boolean not null, again boolean not null);
insert into review_cards
    select p.pair_id, p.session_id, p.pair_id, s.who, p.position, p.left_is_a, false
    from review_pairs p join review_sessions s using (session_id);
drop table review_pairs;
drop table review_sessions;
alter table new_sessions rename to review_sessions;
alter table new_pairs rename to review_pairs;
alter table reviews add column card_id varchar default '';
alter table reviews add column data varchar default '{}';
alter table reviews add column seconds double;
update reviews set card_id = pair_id;
create table review_looks (session_id varchar not null, who varchar not null, looked_at timestamp not null);
create table review_records (
    press_id varchar primary key, seq bigint not null, record_id varchar not null, session_id varchar not null,
    card_id varchar not null, item_id varchar not null, how varchar not null, who varchar not null, said_at timestamp not null);
create table authored (
    record_id varchar primary key, seq bigint not null, origin varchar not null, messages varchar not null,
    tags varchar not null, who varchar not null, said_at timestamp not null);
create table record_pins (
    pin_id varchar primary key, seq bigint not null, record_id varchar not null, part varchar not null, why varchar not null,
    who varchar not null, said_at timestamp not null);
"""

# A question to one or more models at once, with who they are and how they answer; a reply as it ended; a comparison that is
# kept for review, or taken off again (the newest counts).
PLAYGROUND = """
create table play_asks (
    ask_id varchar primary key, seq bigint not null, run_id varchar not null, thread_id varchar not null,
    question varchar not null, candidates varchar not null, decoding varchar not null, who varchar not null,
    said_at timestamp not null);
create table play_replies (
    reply_id varchar primary key, ask_id varchar not null, candidate_id varchar not null, text varchar not null,
    finish varchar not null, problem varchar not null, tokens integer, prompt_tokens integer, seconds double not null,
    first_seconds double, cost double, ended_at timestamp not null);
create table play_saved (
    press_id varchar primary key, seq bigint not null, ask_id varchar not null, kept boolean not null, who varchar not null,
    said_at timestamp not null);
"""

# What a model wrote, one row a slot that was tried; `record_id` where it passed and became a record. Calls hold no texts.
SYNTHESIS = """
create table recipes (
    recipe_id varchar primary key, seq bigint not null, name varchar not null, recipe varchar not null, who varchar not null,
    said_at timestamp not null);
create table made_examples (
    run_id varchar not null, slot varchar not null, place bigint not null, scenario varchar not null, state varchar not null,
    record_id varchar, messages varchar not null, reasons varchar not null, score double, seeds varchar not null,
    prompt_sha256 varchar not null, tries integer not null, made_at timestamp not null, primary key (run_id, slot));
create table calls (
    run_id varchar not null, call varchar not null, purpose varchar not null, model varchar not null,
    called_at timestamp not null, seconds double, prompt_tokens bigint, new_tokens bigint, cost double,
    money varchar not null, outcome varchar not null, primary key (run_id, call));
"""

STEPS: tuple[tuple[int, str, str], ...] = (
    (1, "first tables", FIRST_TABLES),
    (2, "imports of any size", IMPORTS_OF_ANY_SIZE + REBUILD_NOW),
    (3, "findings", FINDINGS),
    (4, "surrogates", SURROGATES),
    (5, "forgetting", FORGETTING),
    (6, "duplicates", DUPLICATES),
    (7, "cards and leaks", CARDS_AND_LEAKS),
    (8, "labels", LABELS),
    (9, "search", SEARCH),
    (10, "training", TRAINING),
    (11, "acts of marking", ACTS_OF_MARKING),
    (12, "candidates", CANDIDATES),
    (13, "review decks", REVIEW_DECKS),
    (14, "playground", PLAYGROUND),
    (15, "synthesis", SYNTHESIS),
    (16, "managed tuning", MANAGED),
    (17, "monitoring", MONITORING),
    (19, "cluster", CLUSTER),
)
