"""Services that tune for us: which calls they serve, where they are, and which variable holds the key; and what they charge.

The keys stay in the environment. Prices are somebody's word with a date: nobody publishes them in a form that can be read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from studio import models, named
from studio.errors import StudioError
from studio.named import SERVICES, TUNING_PRICES
from studio.permissions import needs
from studio.workspace import Workspace

Api = Literal["openai", "together"]
OPENAI_KEY, TOGETHER_KEY = "OPENAI_API_KEY", "TOGETHER_API_KEY"
TOGETHER = "https://api.together.xyz/v1"


@dataclass(frozen=True)
class Service:
    """`api`: whose calls it serves (Azure Foundry and Nebius serve OpenAI's). `base_url` empty: the owner's own address."""

    name: str
    api: Api = "openai"
    base_url: str = ""
    key_env: str = ""

    @property
    def key(self) -> str:
        """The variable that its key is read from; empty where it needs none."""
        return self.key_env or ("" if self.base_url else OPENAI_KEY if self.api == "openai" else TOGETHER_KEY)

    @property
    def place(self) -> str:
        return self.base_url or ("OpenAI" if self.api == "openai" else "Together")

    @property
    def deploys(self) -> bool:
        """Whether a tuned model must be deployed there before it answers, as far as its address tells."""
        return ".azure.com" in self.base_url

    @property
    def chat_url(self) -> str:
        """Where its models answer, as an endpoint's address."""
        return self.base_url or ("" if self.api == "openai" else TOGETHER)


BUILT_IN = (Service("OpenAI"), Service("Together", "together"))


@dataclass(frozen=True)
class Price:
    """What a million trained tokens of a model cost, and when somebody last said so (`who` empty: it came with Tunewright)."""

    model: str
    per_million: float
    money: str
    said_at: datetime
    who: str


CAME_WITH = datetime(2025, 6, 1)
PRICES = {"gpt-4o-mini-2024-07-18": 3.0, "gpt-4o-2024-08-06": 25.0, "gpt-4.1-2025-04-14": 25.0, "gpt-4.1-mini-2025-04-14": 5.0,
          "gpt-4.1-nano-2025-04-14": 1.5}
"""US dollars, as third parties repeated them in 2025; nobody verified them."""


@needs("read")
def every(ws: Workspace) -> list[Service]:
    """OpenAI and Together, then those that people added, by name."""
    return [*BUILT_IN, *(Service(row["name"], **json.loads(row["service"])) for row in named.every(ws, SERVICES))]


@needs("read")
def get(ws: Workspace, name: str) -> Service:
    """Raises StudioError where there is none of that name."""
    found = next((one for one in every(ws) if one.name == name), None)
    if found is None:
        raise StudioError(f"There is no service called {name}.", "Choose one on Launch, or add it there.")
    return found


@needs("own")
def add(ws: Workspace, name: str, api: Api, base_url: str, key_env: str, who: str) -> Service:
    """Keep a service under a name. Raises StudioError in words, without repeating what may be a key."""
    name = named.name_of(SERVICES, name, [one.name for one in BUILT_IN])
    said = Service(name, api, models.address(base_url), models.key_variable(key_env))
    if not said.base_url:
        raise StudioError("A service of your own needs its address.", "It looks like https://my-resource.openai.azure.com/openai/v1")
    named.say(ws, SERVICES, name, json.dumps({key: value for key, value in asdict(said).items() if key != "name"}), who)
    return said


@needs("read")
def price(ws: Workspace, model: str) -> Price | None:
    """The newest word on a model's price, else what came with Tunewright; None where nothing is known."""
    row = next((row for row in named.every(ws, TUNING_PRICES) if row["name"].lower() == model.lower()), None)
    if row is not None:
        said = json.loads(row["price"])
        return Price(model, said["per_million"], said["money"], row["said_at"], row["who"])
    came = PRICES.get(model)
    return Price(model, came, "USD", CAME_WITH, "") if came is not None else None


@needs("run")
def say_price(ws: Workspace, model: str, per_million: float, money: str, who: str) -> Price:
    """Keep what a million trained tokens cost. Raises StudioError for what is no price."""
    model, money = named.name_of(TUNING_PRICES, model), " ".join(money.split())
    if not 0 <= per_million < 1e6:
        raise StudioError("A price for a million tokens lies between 0 and a million.")
    if not 1 <= len(money) <= 12:
        raise StudioError("A currency is a word of 1 to 12 characters.", "Write USD, for example.")
    named.say(ws, TUNING_PRICES, model, json.dumps({"per_million": per_million, "money": money}), who)
    return Price(model, per_million, money, ws.now(), who)
