"""Review texts: what was asked and answered of the items of a review, wherever the answers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio import plays, scores
from studio.grids import PROBES
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


def _saved(ws: Workspace) -> dict[str, Texts]:
    """Every comparison that was ever saved: taken off the list, it stays in the sessions that were opened over it."""
    ids = [row["ask_id"] for row in ws.rows("select distinct ask_id from play_saved order by ask_id")]
    return {one.ask_id: Texts([{"role": "user", "content": one.question}], "",
                              {reply.candidate_id: reply.text for reply in one.replies if reply.said})
            for one in plays.of_ids(ws, ids)}
