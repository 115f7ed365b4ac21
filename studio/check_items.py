"""What a check looks at, written out for its run, and what it found, brought in."""

from __future__ import annotations

from pathlib import Path

from studio.findings import OF_ALL_RECORDS
from studio.permissions import needs
from studio.workspace import Transaction, Workspace

_COLUMNS = """{record_id: 'varchar', kind: 'varchar', turn: 'integer', start: 'integer', end_: 'integer', score: 'double',
               evidence: 'varchar', replacement: 'varchar'}"""


def choose(transaction: Transaction, run_id: str, only_new: bool) -> tuple[int, int]:
    """Note which wordings a check looks at: (all that are not dropped, those it looks at by themselves)."""
    transaction.execute("""insert into check_items select ?, n.record_id, n.version, not ? or c.record_id is null
                           from record_now n left join checked_now c on c.record_id = n.record_id and c.version = n.version
                           where n.decision <> 'drop'""", [run_id, only_new])
    row = transaction.rows("select count(*) as n, count(*) filter (look) as look from check_items where run_id = ?",
                           [run_id])[0]
    return row["n"], row["look"]


@needs("curate", looks=True)
def write_out(ws: Workspace, run_id: str, path: Path) -> None:
    """The wordings a check looks at, one JSON line each, written beside and renamed in. Holds personal data."""
    beside = path.with_name(f".{path.name}.tmp")
    name = str(beside).replace("'", "''")
    ws.rows(f"""copy (
        select i.record_id as id, i.look, p.people, s.own, v.messages::json as messages
        from check_items i
        join record_versions v on v.record_id = i.record_id and v.version = i.version
        join record_now n on n.record_id = i.record_id
        left join (select record_id,
                       list_filter([any_value(name), any_value(email)], lambda said: coalesce(said, '') <> '') as people
                   from record_people group by record_id) p on p.record_id = i.record_id
        left join (select record_id, list(distinct value) as own from surrogates group by record_id) s
            on s.record_id = i.record_id
        where i.run_id = ? order by n.position) to '{name}' (format json)""", [run_id])
    beside.rename(path)


def collect(transaction: Transaction, run_id: str, path: Path) -> None:
    """What a check found, in place of what earlier checks had found in the same records. One statement reads the file."""
    looked = "(select record_id from check_items where run_id = ? and look)"
    transaction.execute(f"delete from findings where record_id in {looked} or list_contains(?::varchar[], kind)",
                        [run_id, list(OF_ALL_RECORDS)])
    if path.exists() and path.stat().st_size:
        transaction.execute(
            f"""insert into findings select f.record_id, i.version, f.kind, f.turn, f.start, f.end_, f.score, f.evidence,
                f.replacement, i.run_id from read_json(?, format = 'newline_delimited', columns = {_COLUMNS}) f
                join check_items i on i.run_id = ? and i.record_id = f.record_id""", [str(path), run_id])
    transaction.execute(f"delete from checked_now where record_id in {looked}", [run_id])
    transaction.execute("insert into checked_now select record_id, version, run_id from check_items where run_id = ? and look",
                        [run_id])
    transaction.execute("delete from check_items where run_id = ?", [run_id])
