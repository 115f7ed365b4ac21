"""A run of kind "parity": stored prompts are put to the adapter as it was evaluated, to the merged folder and to the server.

Rendered prompts are compared byte by byte and token by token, then the log-probabilities of the first token, the greedy
answers, and the metric. Where something differs the run says where it begins and why.
"""

from __future__ import annotations

import gc
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import base_models, device, examples
from pipeline.deploy import comparing
from pipeline.deploy.comparing import Cause, Difference, Leg, Seen
from pipeline.deploy.serve import merged_candidate
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example
from pipeline.generation.answer import Answer, Ask
from pipeline.rundir import Child, write_atomic
from pipeline.scoring import engine
from pipeline.spec_deploy import ParitySpec
from pipeline.specs import Candidate, Decoding, Endpoint, EvaluateSpec

if TYPE_CHECKING:
    from pipeline.generation.local import LocalModel

TOP = 20
ROWS = "parity.jsonl"
PRIMARY = {"labels": "accuracy", "json": "field_accuracy", "text": "rougeL"}
Facts = dict[str, Any]


def run(child: Child, spec: ParitySpec, workspace: Path) -> Facts:
    """Compare; returns the legs. Raises PipelineError in words, Stopped when asked to stop."""
    items = spread(examples.read(workspace / spec.items_file), spec.prompts)
    with Local(child, spec, workspace, items) as here:
        adapter = here.seen(spec.tuned, "the adapter")
        legs, others = [], {"adapter": adapter}
        if spec.merged:
            others["merged"] = here.seen(merged_candidate(spec.tuned, workspace / spec.merged), "the merged model")
            legs.append(here.merged_leg(adapter, others["merged"]))
    if spec.served is not None:
        others["served"] = served(spec.served, items, here, spec.max_new_tokens, ending(adapter))
        leg = comparing.compare("served", adapter, others["served"], here.turns, here.exact and _full(spec), here.specials)
        if leg.cause in ("base", "precision"):
            with here:
                _explain_from_outside(here, spec, leg, adapter, others["served"])
        legs.append(leg)
    _score(items, others, legs, spec)
    _write_rows(child, items, others, legs)
    told = [leg.told() for leg in legs]
    return {"items": len(items), "legs": told, "mismatches": sum(leg.mismatches for leg in legs), "compute": here.compute,
            "passed": not any(leg.mismatches for leg in legs), "export_id": spec.export_id, "serve_id": spec.serve_id}


def done_words(data: Facts) -> str:
    if data["passed"]:
        names = " = ".join(["adapter", *(leg["name"] for leg in data["legs"])])
        return f"The same model: {names} on {data['items']:,} prompts."
    wrong = next(leg for leg in data["legs"] if leg["mismatches"])
    return f"Not the same model ({wrong['name']}): {wrong['words']}"


def spread(items: Sequence[Example], number: int) -> list[Example]:
    """So many items, evenly from all of the file."""
    if len(items) <= number:
        return list(items)
    return [items[place * len(items) // number] for place in range(number)]


class Local:
    """What models on this machine read and say, while the device is held: `with` takes it, waiting for its turn."""

    def __init__(self, child: Child, spec: ParitySpec, workspace: Path, items: Sequence[Example]) -> None:
        self.child, self.spec, self.workspace, self.items = child, spec, workspace, items
        self.turns = {item.id: item.question for item in items}
        self.hold = device.Hold(child.folder, workspace)
        self.decoding = Decoding(max_new_tokens=spec.max_new_tokens)
        self.specials: dict[int, str] = {}
        self.ends: list[int] = []
        self.compute = ""
        self.tokenizer: Any = None

    @property
    def exact(self) -> bool:
        return self.compute == "float32"

    def __enter__(self) -> Local:
        while not self.hold.take():
            self.child.say(device.QUEUED, sentence="Waiting for another run to finish")
            self._watch()
            time.sleep(device.LOOK_AGAIN_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        gc.collect()
        self.hold.give_back()

    def seen(self, candidate: Candidate, name: str, tokens: int | None = None) -> list[Seen]:
        """What it reads of every item and says to it; the first model that is asked is the one that others are held against."""
        from pipeline.generation import local

        model = local.load(candidate, self.workspace, lambda said: self.child.say(f"loading {name}", sentence=said))
        if not self.compute:
            self.compute, self.ends, self.tokenizer = model.compute, model.ends, model.tokenizer
            self.specials = {one: str(model.tokenizer.decode([one])) for one in model.tokenizer.all_special_ids}
            self.specials |= {one: str(model.tokenizer.decode([one])) for one in model.ends}
        decoding = self.decoding if tokens is None else Decoding(max_new_tokens=tokens)
        return look(model, self.items, decoding, lambda done: self._say(name, done))

    def merged_leg(self, adapter: Sequence[Seen], merged: Sequence[Seen]) -> Leg:
        """The merged folder against the adapter; its weights say why they differ."""
        from pipeline.deploy import weights

        folder = self.workspace / self.spec.merged
        leg = comparing.compare("merged", adapter, merged, self.turns, self.exact and _is_full(folder), self.specials)
        lost = comparing.lost_ends(self.ends, _ends_of(folder), self.specials)
        if lost:
            leg.differences.insert(0, lost)
            leg.cause = comparing.first_cause(leg.differences)
            leg.words = next(one.words for one in leg.differences if one.cause == leg.cause)
        if leg.cause in ("base", "precision"):
            assert self.spec.tuned.base is not None
            base = base_models.prepare(self.spec.tuned.base, self.workspace, lambda said: None)
            self.child.say("explaining", sentence="Looking where the merged weights differ")
            name_cause(leg, *weights.explain(base, self.workspace / str(self.spec.tuned.adapter), folder,
                                             self.spec.tuned.method == "qlora"))
        return leg

    def _say(self, name: str, done: int) -> None:
        self._watch()
        self.child.say(f"asking {name}", done, len(self.items), "prompts", f"Asking {name}")

    def _watch(self) -> None:
        if self.child.stop_requested():
            raise Stopped("Stopped before all prompts were compared.")


def look(model: LocalModel, items: Sequence[Example], decoding: Decoding, say: Callable[[int], None]) -> list[Seen]:
    """What a local model reads and says, with its chances."""
    from pipeline.deploy.chances import Listener, first

    prompts = {item.id: model.prompt(item) for item in items}
    listener = Listener(TOP)
    found: dict[str, Answer] = {}
    for answer in model.answers([Ask(item) for item in items], decoding, lambda: say(len(found)), listener):
        found[answer.item_id] = answer
        say(len(found))
    seen = []
    for place, item in enumerate(items):
        said, ids = found[item.id], prompts[item.id]
        told = listener.told.get(place) or ([first(model, ids, TOP)] if len(ids) < model.context else [])
        seen.append(Seen(
            item.id, str(model.tokenizer.decode(ids)), tuple(ids), len(ids),
            tuple((str(model.tokenizer.decode([token])), nats) for token, nats in (told[0].top if told else ())), said.text,
            tuple(one.token for one in told[: said.new_tokens]), tuple(one.top for one in told), said.finish == "stop"))
    return seen


def ending(seen: Sequence[Seen]) -> tuple[int, ...]:
    """The token that mostly ended these answers."""
    found = Counter(one.tokens[-1] for one in seen if one.stopped and one.tokens)
    return (found.most_common(1)[0][0],) if found else ()


def served(endpoint: Endpoint, items: Sequence[Example], here: Local, tokens: int, end: tuple[int, ...]) -> list[Seen]:
    """What can be seen of a server from outside: its tokens where it tells them (`/tokenize`), else how many they were; the
    likeliest first tokens where it tells those; the answer, which `end` follows where it ended."""
    from pipeline.generation.endpoint import EndpointModel

    model = EndpointModel(endpoint, later="Try again when the server answers.")
    found = []
    for done, item in enumerate(items):
        here._say("the server", done)
        ids = _tokenized(endpoint, model.client.api_key, item)
        request = model.request(Ask(item), Decoding(max_new_tokens=tokens))
        answered = _asked(model, request)
        made = model.answer(Ask(item), answered, 0.0)
        told = getattr(answered.choices[0], "logprobs", None)
        first = told.content[0].top_logprobs if told and told.content else []
        found.append(Seen(
            item.id, str(here.tokenizer.decode(ids)) if ids is not None else "", ids,
            made.prompt_tokens or (len(ids) if ids else 0), tuple((one.token, one.logprob) for one in first), made.text,
            (*here.tokenizer(made.text, add_special_tokens=False)["input_ids"], *(end if made.finish == "stop" else ())), (),
            made.finish == "stop"))
    return found


def _asked(model: Any, request: dict[str, Any]) -> Any:
    """With log-probabilities where the server knows them."""
    import openai

    try:
        return model.create(request | {"logprobs": True, "top_logprobs": TOP})
    except (openai.BadRequestError, openai.UnprocessableEntityError):
        pass
    except openai.OpenAIError as error:
        raise model.in_words(error) from None
    try:
        return model.create(request)
    except openai.OpenAIError as error:
        raise model.in_words(error) from None


def _tokenized(endpoint: Endpoint, key: str, item: Example) -> tuple[int, ...] | None:
    """The tokens that the server reads of an item; none where it does not tell."""
    from pipeline.generation.endpoint import chat_turn

    body = {"model": endpoint.model, "messages": [chat_turn(turn) for turn in item.question], "add_generation_prompt": True}
    body |= {"tools": list(item.tools)} if item.tools else {}
    asked = urllib.request.Request(
        endpoint.base_url.rstrip("/").removesuffix("/v1") + "/tokenize", json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return tuple(int(one) for one in json.load(answer)["tokens"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _explain_from_outside(here: Local, spec: ParitySpec, leg: Leg, adapter: Sequence[Seen], seen: Sequence[Seen]) -> None:
    """A server's weights cannot be seen: other models that can be thought of are asked here, and the one that says the same
    names the cause."""
    suspects: list[tuple[Cause, Candidate, str]] = [
        ("no_adapter", spec.tuned.model_copy(update={"adapter": None}),
         "It answers as the base model does: the adapter is not in it.")]
    if spec.tuned.method == "qlora":
        suspects.append(("quantised", spec.tuned.model_copy(update={"method": "lora"}), "It answers as the adapter on the "
                         "16-bit base does: the adapter learned on the base in 4 bits (NF4), which has other values."))
    ours = _distance(adapter, seen)
    for cause, candidate, words in suspects:
        apart = _distance(here.seen(candidate, "a suspect", tokens=1), seen)
        if apart is not None and ours is not None and apart < min(comparing.ROUNDED_NATS, ours / 2):
            name_cause(leg, cause, words)
            return
    if ours is not None and ours <= comparing.ROUNDED_NATS:
        name_cause(leg, "precision", "Its log-probabilities lie a little off, as where it computes in another precision.")
    else:
        name_cause(leg, "base", "It reads the same and says something else: another base, or another adapter.")


def _distance(a: Sequence[Seen], b: Sequence[Seen]) -> float | None:
    found = [apart for one, other in zip(a, b, strict=True) if (apart := comparing.first_apart(one, other)) is not None]
    return max(found, default=None)


def name_cause(leg: Leg, cause: Cause, words: str) -> None:
    """What was found out about a leg whose answers differ; its items say the same."""
    leg.differences = [Difference(one.item_id, cause, one.words) if one.cause in ("base", "precision") else one
                       for one in leg.differences]
    leg.cause, leg.words = cause, words


def _score(items: Sequence[Example], others: dict[str, list[Seen]], legs: Sequence[Leg], spec: ParitySpec) -> None:
    """The metric that suits the answers, of each; where it lies far apart although nothing else does, that is a mismatch."""
    wanted = PRIMARY[engine.form_of([item.answer for item in items])]
    asked = EvaluateSpec(run_id=spec.run_id, items_file=spec.items_file, candidates=(spec.tuned,), metrics=(wanted,))
    outputs = [{"candidate_id": name, "item_id": one.item_id, "sample": 0, "text": one.answer}
               for name, seen in others.items() for one in seen]
    rows, facts = engine.score(items, outputs, asked, lambda done, total: None)
    scores = {name: [row["scores"].get(wanted, 0.0) for row in rows if row["candidate_id"] == name] for name in others}
    for leg in legs:
        leg.metric, leg.values = wanted, (facts["metrics"]["adapter"][wanted], facts["metrics"][leg.name][wanted])
        apart = abs(leg.values[0] - leg.values[1])
        if not leg.mismatches and comparing.metric_apart(scores["adapter"], scores[leg.name]):
            leg.differences.append(Difference("", "precision", f"The metric lies {apart:.3f} apart."))
            leg.cause, leg.words = "precision", f"Rounding moves the metric by {apart:.3f}."


def _write_rows(child: Child, items: Sequence[Example], others: dict[str, list[Seen]], legs: Sequence[Leg]) -> None:
    """Item by item, with what was said: forgetting somebody takes out the lines of their records."""
    rows = []
    for place, item in enumerate(items):
        said = {name: seen[place].answer for name, seen in others.items()}
        wrong = [{"leg": leg.name, "cause": one.cause, "words": one.words} for leg in legs for one in leg.differences
                 if one.item_id == item.id]
        rows.append({"item_id": item.id, "said": said, "differences": wrong})
    write_atomic(child.folder / ROWS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _full(spec: ParitySpec) -> bool:
    return spec.served_precision in ("", "float32")


def _is_full(folder: Path) -> bool:
    """Whether a folder's weights are float32: then nothing was rounded."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return (config.get("dtype") or config.get("torch_dtype")) == "float32"


def _ends_of(folder: Path) -> set[int]:
    """Where any server ends an answer of this folder."""
    path = folder / "generation_config.json"
    if not path.is_file():
        raise PipelineError("The merged folder has no generation_config.json.", "Export it again.")
    found = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
    return set(found) if isinstance(found, list) else {found}
