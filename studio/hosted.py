"""Models that a service tuned, as they join the list."""

from __future__ import annotations

from typing import Any

from studio import models
from studio.permissions import needs
from studio.services import Service
from studio.workspace import Row, Transaction, Workspace

FACTS = ("best_validation_loss", "first_validation_loss", "last_train_loss", "steps", "seconds", "best_step", "trained_tokens",
         "needs_deployment", "job_id")


@needs("run")
def collect(ws: Workspace, transaction: Transaction, run_id: str, title: str, spec: Row, data: dict[str, Any]) -> None:
    """The tuned model, each checkpoint, and the base that they were tuned from; collecting again adds nothing."""
    service = Service("", **spec["service"])
    server = {"base_url": service.chat_url, "key_env": service.key if service.chat_url else service.key_env, "price_in": None,
              "price_out": None, "money": spec["money"]}
    facts = {key: data.get(key) for key in FACTS}
    steps = [(one["model"], f"step {one['step']}", facts | {"best_step": one["step"], "checkpoint": True,
                                                            "best_validation_loss": one.get("valid_loss")})
             for one in data.get("checkpoints") or () if one.get("model") and one["model"] != data["model"]]
    models.add_hosted(ws, transaction, run_id, title, server, spec["model"], [(data["model"], "tuned", facts), *steps])
