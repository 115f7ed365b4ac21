"""What a customer left in reviews: verdicts on answers to their questions, words that name them; and how it goes."""

from __future__ import annotations

from collections.abc import Sequence

from studio.mentions import named_in
from studio.permissions import needs
from studio.workspace import Transaction, Workspace


@needs("raw")
def about(ws: Workspace, answers: Sequence[tuple[str, str]], words: Sequence[str]) -> list[str]:
    """The ids of verdicts on these answers (run id, item id), and of those that name one of the words (lower case)."""
    found = ws.rows(
        f"""select review_id from reviews where pair_id in ({_PAIRS_OVER}) union
            select review_id from reviews r, (select unnest(?::varchar[]) as word) w
            where {named_in('r.note')} or {named_in('r.data')}
            order by all""", [*_parted(answers), list(words)])
    return [row["review_id"] for row in found]


def forget(transaction: Transaction, answers: Sequence[tuple[str, str]], review_ids: Sequence[str]) -> None:
    """Delete the pairs over these answers with their cards and verdicts, and empty what was written in the others named."""
    for table in ("reviews", "review_cards", "review_pairs"):
        transaction.execute(f"delete from {table} where pair_id in ({_PAIRS_OVER})", _parted(answers))
    transaction.execute("update reviews set note = '', data = '{}' where review_id in (select unnest(?::varchar[]))",
                        [list(review_ids)])
    transaction.execute("""update review_sessions set items =
                           (select count(*) from review_pairs p where p.session_id = review_sessions.session_id)""")


def _parted(answers: Sequence[tuple[str, str]]) -> list[list[str]]:
    return [[run_id for run_id, _ in answers], [item_id for _, item_id in answers]]


_PAIRS_OVER = """select p.pair_id from review_pairs p join review_sessions s using (session_id)
    join (select unnest(?::varchar[]) as run_id, unnest(?::varchar[]) as item_id) g
    on g.run_id = s.run_id and g.item_id = p.item_id"""
