"""What is derived from what was said, made anew: after rows are put back from the journal, and by the migrations."""

from __future__ import annotations

REBUILD_NOW = """
delete from record_now;
insert into record_now
    select r.record_id, r.position, r.import_id, r.rating, r.tags, v.version, coalesce(d.decision, 'undecided')
    from records r
    join (select record_id, max(version) as version from record_versions group by record_id) v using (record_id)
    left join (select record_id, arg_max(decision, seq) as decision from decisions group by record_id) d using (record_id);
"""
"""What is current, from everything that was ever said."""

REBUILD_LABELS = """
delete from label_now;
insert into label_now
    select set_id, record_id, position, who, label_id, seq, set_version, record_version, answer, state, suggested, seconds,
           said_at from (
        select l.*, n.position, row_number() over (partition by l.set_id, l.record_id, l.who order by l.seq desc) as place
        from labels l join record_now n using (record_id)
        where l.undoes is null and not exists (from labels u where u.undoes = l.label_id))
    where place = 1;
"""
"""What stands of everybody's labels, from everything that was ever said."""

REBUILD_WORDS = """
delete from record_words;
delete from record_sizes;
delete from words_unread;
update words_read set up_to = 0;
"""
"""Read every wording again."""

REBUILD_AUTHORED = """
insert into imports by name
    select 'written-' || origin as import_id,
           case origin when 'review' then 'Written in reviews' else 'Written in the playground' end as source_name,
           '' as source_sha256, '{}' as choices, 0 as rows_in, 0 as rows_imported, 0 as rows_filtered,
           0 as rows_refused, 0 as rows_already_here, 0 as conversations, min(said_at) as imported_at,
           'written in ' || origin as desk, false as synthetic
    from authored where 'written-' || origin not in (select import_id from imports) group by origin;
insert into records
    select record_id, 'written-' || origin, 0, null, null, nullif(tags, ''), highest.top + row_number() over (order by seq),
           null, said_at
    from authored, (select coalesce(max(position), 0) as top from records) highest
    where record_id not in (select record_id from records);
insert into record_versions
    select a.record_id, 1, a.messages, a.who, null, a.said_at, r.position
    from authored a join records r using (record_id)
    where a.record_id not in (select record_id from record_versions where version = 1);
update imports set rows_in = said.n, rows_imported = said.n, conversations = said.n
    from (select 'written-' || origin as import_id, count(*) as n from authored group by origin) said
    where imports.import_id = said.import_id;
"""
"""Records that were written here, from what was said: run after each new one, and when rows are put back from the journal."""
