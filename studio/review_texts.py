"""Review texts: what was asked and answered of the items of a review, wherever the answers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio import masking, plays, scores
from studio.grids import PROBES
from studio.masking import Mask
from studio.permissions import needs
from studio.records import Turns
from studio.workspace import Workspace


@dataclass(frozen=True)
class Texts:
    """One item: the conversation up to the question, the reference answer (empty where there is none), answers by candidate."""

    question: Turns
    reference: str
    answers: Mapping[str, str]


PLAYGROUND = "playground"
"""What stands for a run where the answers are comparisons that were saved in the playground: the items are its questions."""


@needs("curate", looks=True)
def items(ws: Workspace, run_id: str, candidates: Sequence[str]) -> list[str]:
    """The items that every one of these candidates answered, by id."""
    if run_id == PLAYGROUND:
        saved = _saved(ws)
        return [one.ask_id for one in plays.kept(ws) if set(candidates) <= set(saved[one.ask_id].answers)]
    found = ws.rows(
        f"""select item_id from outputs where run_id = ? and sample = 0 and not starts_with(item_id, '{PROBES}')
              and candidate_id in (select unnest(?::varchar[]))
            group by item_id having count(distinct candidate_id) = ? order by item_id""",
        [run_id, list(candidates), len(set(candidates))])
    return [row["item_id"] for row in found]


@needs("curate", looks=True)
def read(ws: Workspace, run_id: str, item_ids: Sequence[str], candidates: Sequence[str]) -> dict[str, Texts]:
    """These items by id; those whose question is gone are left out. Of several samples the first one counts."""
    if run_id == PLAYGROUND:
        saved = _saved(ws)
        return {one: saved[one] for one in item_ids if one in saved and set(candidates) & set(saved[one].answers)}
    asked = scores.questions(ws, run_id, list(dict.fromkeys(item_ids)))
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for row in ws.rows("""select item_id, candidate_id, text from outputs where run_id = ? and sample = 0
                          and item_id in (select unnest(?::varchar[])) and candidate_id in (select unnest(?::varchar[]))""",
                       [run_id, list(asked), list(candidates)]):
        answers[row["item_id"]][row["candidate_id"]] = row["text"]
    return {item_id: Texts(turns[:-1], turns[-1]["content"], answers[item_id]) for item_id, turns in asked.items()}


@needs("curate", looks=True)
def played(ws: Workspace) -> dict[str, str]:
    """Who answered in the saved comparisons: candidate id → name."""
    return {reply.candidate_id: reply.name for one in plays.kept(ws) for reply in one.replies if reply.said}


@needs("read")
def names(ws: Workspace, candidates: Sequence[str]) -> dict[str, str]:
    """What candidates are called that answered in the playground; an id for one that is gone."""
    known = {reply.candidate_id: reply.name for one in plays.of_ids(ws, list(_saved(ws))) for reply in one.replies}
    return {one: known.get(one, one) for one in candidates}


@needs("curate", looks=True)
def masks(ws: Workspace, session_id: str, card_ids: Sequence[str]) -> dict[str, Mask]:
    """What to hide on each of these cards from somebody who may not read personal data. Comparisons of the playground are no
    records: they are shown as somebody here asked and saved them."""
    rows = ws.rows("""select c.card_id, p.item_id, s.run_id from review_cards c join review_pairs p using (pair_id)
                      join review_sessions s on s.session_id = c.session_id
                      where c.session_id = ? and c.card_id in (select unnest(?::varchar[]))""", [session_id, list(card_ids)])
    hide = _masks(ws, rows[0]["run_id"], [row["item_id"] for row in rows]) if rows else {}
    return {row["card_id"]: hide[row["item_id"]] for row in rows}


@needs("curate", looks=True)
def masked(ws: Workspace, run_id: str, found: Mapping[str, Texts]) -> dict[str, Texts]:
    """The same of whole items."""
    hide = _masks(ws, run_id, list(found))
    return {item_id: Texts(mask.turns(one.question), mask.text(one.reference),
                           {candidate: mask.text(text) for candidate, text in one.answers.items()})
            for item_id, one in found.items() for mask in (hide[item_id],)}


def _masks(ws: Workspace, run_id: str, item_ids: Sequence[str]) -> dict[str, Mask]:
    if run_id == PLAYGROUND:
        return dict.fromkeys(item_ids, Mask())
    return masking.of_lines(ws, ws.value("select snapshot_id from runs where run_id = ?", [run_id]), item_ids)


def _saved(ws: Workspace) -> dict[str, Texts]:
    """Every comparison that was ever saved: taken off the list, it stays in the sessions that were opened over it."""
    ids = [row["ask_id"] for row in ws.rows("select distinct ask_id from play_saved order by ask_id")]
    return {one.ask_id: Texts([{"role": "user", "content": one.question}], "",
                              {reply.candidate_id: reply.text for reply in one.replies if reply.said})
            for one in plays.of_ids(ws, ids)}
