"""Prices: what an hour of this machine costs, as somebody said it; the newest word counts."""

from __future__ import annotations

from dataclasses import dataclass

from studio.errors import StudioError
from studio.permissions import needs
from studio.workspace import Workspace


@dataclass(frozen=True)
class Price:
    """`money` is any word or sign, such as EUR or $; 0 an hour: nobody wants to see costs."""

    per_hour: float = 0.0
    money: str = "EUR"

    def words(self, seconds: float) -> str:
        """`0.42 EUR`; less than half a hundredth is said so."""
        cost = self.per_hour * seconds / 3_600
        return f"{cost:,.2f} {self.money}" if cost >= 0.005 else f"under 0.01 {self.money}"


@needs("read")
def now(ws: Workspace) -> Price:
    row = ws.row("select per_hour, money from hour_prices order by seq desc limit 1")
    return Price(**row) if row else Price()


@needs("run")
def say(ws: Workspace, per_hour: float, money: str, who: str) -> Price:
    """Keep a price. Raises StudioError for what is none."""
    money = " ".join(money.split())
    if not 0 <= per_hour < 1e6:
        raise StudioError("A price an hour lies between 0 and a million.")
    if not 1 <= len(money) <= 12:
        raise StudioError("A currency is a word of 1 to 12 characters.", "Write EUR, for example.")
    said = Price(per_hour, money)
    if said != now(ws):
        with ws.transaction() as transaction:
            transaction.decided("hour_prices", [{"price_id": ws.new_id(), "seq": 0, "per_hour": per_hour, "money": money,
                                                 "who": who, "said_at": ws.now()}])
    return said
