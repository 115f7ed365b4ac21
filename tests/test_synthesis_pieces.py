"""From a spec to an accepted example without a model: slots, prompts, replies and the gate fit each other."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.specs import Work
from pipeline.synthesis import plan, prompts
from pipeline.synthesis.gate import Gate
from tests.seeds import seed
from tests.test_synthesis_prompts import BARE, asked_of

SEEDS = [seed("s0", "My parcel has not moved since Monday, where is it?", "It is at the depot and comes tomorrow."),
         seed("s1", "The zip of my jacket broke on the first day.", "We are sorry; a new jacket leaves today.")]
ASKED, ANSWERED = "Could you tell me how to wash the old wool blanket?", "Wash it by hand in cold water with mild soap."
REPLIES: dict[Work, dict[str, Any]] = {
    "examples": {"question": ASKED, "answer": ANSWERED}, "paraphrases": {"question": "No news of the package for days now."},
    "answers": {"answer": ANSWERED},
    "hard": {"question": "asdf qwer 9999 ???", "answer": "I could not read that. What is it about?"},
    "conversations": {"turns": [{"role": role, "content": text} for role, text in (
        ("user", ASKED), ("assistant", "Which blanket is it?"), ("user", "The grey one."), ("assistant", ANSWERED))]}}


@pytest.mark.parametrize("work", list(REPLIES))
def test_a_good_reply_to_every_kind_of_work_is_accepted_once(work: Work) -> None:
    spec = asked_of(work, cell=BARE.model_copy(update={"count": 3}), documents=("Wool is washed cold.",))
    gate = Gate(spec.checks, [seed.messages[0]["content"] for seed in SEEDS], work, SEEDS, spec.documents)
    first, _, third = plan.slots(spec, SEEDS)
    assert prompts.render(spec, first, SEEDS)[1]["content"] and set(REPLIES[work]) == set(prompts.schema(work)["properties"])
    made = prompts.messages(spec, first, REPLIES[work], SEEDS)
    assert gate.check(made, first.cell) == []
    gate.take(made)
    again = gate.check(prompts.messages(spec, third, REPLIES[work], SEEDS), third.cell)
    assert [reason.kind for reason in again] == ["twin_made"]
