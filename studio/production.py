"""Which model is in production, and how the next one is held against it."""

from __future__ import annotations

from studio import live, models
from studio.models import Model
from studio.permissions import needs
from studio.workspace import Workspace


@needs("read")
def chosen(ws: Workspace) -> str:
    """The name of the model in production, as the logs have it: the one that somebody chose, else the most seen one of the
    newest thousand rows; empty where no log names a model."""
    said = ws.value("select arg_max(model, seq) from production_models")
    if said and ws.rows("select 1 from log_rows where model = ? limit 1", [said]):
        return str(said)
    since = live.newest(ws)
    found = ws.value("""select mode(model) from (select model from log_rows where model <> '' and happened_at <= ?
                                                 order by happened_at desc limit 1000)""", [since])
    return str(found or "")


@needs("run")
def choose(ws: Workspace, model: str, who: str) -> None:
    with ws.transaction() as transaction:
        transaction.decided("production_models", [{"choice_id": ws.new_id(), "seq": 0, "model": model, "who": who,
                                                   "said_at": ws.now()}])


@needs("read")
def entry(ws: Workspace, name: str) -> Model | None:
    """The model of this workspace that goes by such a name in the logs: an endpoint's name for its model, or a model's own."""
    found = models.every(ws)
    return next((one for one in found if one.kind == "endpoint" and name in (one.base["model"], one.name)),
                next((one for one in found if name in (one.name, one.model_id, one.run_id)), None))


@needs("read")
def comparison(ws: Workspace) -> dict[str, str] | None:
    """The address of an evaluation of the newest tuned model beside the one in production; None where nothing was tuned."""
    tuned = models.tuned(ws)
    if not tuned:
        return None
    now = entry(ws, chosen(ws))
    newest = next((one for one in tuned if now is None or one.model_id != now.model_id), None)
    if newest is None:
        return None
    return {"view": "Start", "model": newest.model_id} | ({"against": now.model_id} if now else {})
