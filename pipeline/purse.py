"""A budget that is never passed: what was spent, and the most that calls on their way may still cost.

A token is at least a byte, and a chat template adds some to each turn; so the highest cost of a call is known before it goes
out. """

from __future__ import annotations

from collections.abc import Iterable

from pipeline.errors import PipelineError
from pipeline.examples import Turn
from pipeline.specs import Endpoint


class Purse:
    """`budget` is none where there is no limit. `waits`: a call had to be put off because of it."""

    def __init__(self, budget: float | None, spent: float, endpoints: Iterable[Endpoint | None]) -> None:
        there = [one for one in endpoints if one is not None]
        self.counts = bool(there) and all(one.price_in is not None and one.price_out is not None for one in there)
        self.budget, self.spent = (budget if there else None), spent
        self.waits = False
        self.reserved: dict[str, float] = {}
        if self.budget is not None and not self.counts:
            raise PipelineError("A budget needs the model's prices.", "Give them on the Models page, or set no budget.")

    def reserve(self, name: str, endpoint: Endpoint | None, turns: Iterable[Turn], most_tokens: int) -> bool:
        """Whether this call cannot pass the budget, whatever comes back; then its highest cost is set aside under its name."""
        if self.budget is None or endpoint is None:
            return True
        prompt = sum(len(str(turn.get("content") or "").encode()) + 16 for turn in turns) + 16
        most = (prompt * (endpoint.price_in or 0) + most_tokens * (endpoint.price_out or 0)) / 1e6
        if self.spent + sum(self.reserved.values()) + most > self.budget:
            self.waits = True
            return False
        self.reserved[name] = most
        return True

    def pay(self, name: str, cost: float | None) -> float | None:
        """What a call cost; where there is a budget, a server that does not say what it took has taken the most it can."""
        most = self.reserved.pop(name, None)
        paid = cost if cost is not None else most
        self.spent += paid or 0.0
        return paid
