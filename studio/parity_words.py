"""A parity test in words: the same on the page and in the command. Pure; escapes nothing."""

from __future__ import annotations

from studio import metrics
from studio.ui.formats import count, share
from studio.workspace import Row

NAMES = {"merged": "Merged model", "served": "Served model"}
CAUSES = {"template": "the chat template", "special_tokens": "a special token", "tokenizer": "the tokenizer",
          "precision": "precision", "quantised": "the merge of a base in 4 bits", "no_adapter": "the adapter, which is missing",
          "base": "another base"}
MEND = {
    "template": "Serve the exported folder as it is: its chat_template.jinja is the one it was trained with.",
    "special_tokens": "Serve the exported folder with the tokenizer and generation config that lie in it, and let nothing add "
                      "special tokens of its own.",
    "tokenizer": "Serve the exported folder with the tokenizer that lies in it.",
    "precision": "Export in float16, which rounds eight times more finely than bfloat16, or in 32 bits, and let the server "
                 "compute in the precision of the export.",
    "quantised": "Export again into the 4-bit values that it learned on, or train in 16 bits.",
    "no_adapter": "Serve the merged model, or let the server load the adapter.",
    "base": "Export again from the base that it was trained on, and serve that folder."}
"""What to do, by where it begins."""


def headline(data: Row) -> str:
    if data["passed"]:
        names = " = ".join(["adapter", *(leg["name"] for leg in data["legs"])])
        return f"The same model on {count(data['items'], 'prompt')}: {names}"
    wrong = next(leg for leg in data["legs"] if leg["mismatches"])
    return f"Not the same model: the {NAMES[wrong['name']].lower()} differs, and it begins with {CAUSES[wrong['cause']]}"


def table(data: Row) -> list[dict[str, str]]:
    """One row for each that was held against the adapter."""
    return [{"compared with the adapter": NAMES[leg["name"]], "the same prompt": share(leg["read"], leg["items"]),
             "first token": _first(leg), "greedy answers": _answers(leg),
             metrics.title(leg["metric"]): f"{leg['values'][0]:.3f} → {leg['values'][1]:.3f}",
             "verdict": f"differs on {leg['mismatches']:,}" if leg["mismatches"] else "the same"} for leg in data["legs"]]


def terms(data: Row) -> str:
    """What it was held to."""
    exact = all(leg["exact"] for leg in data["legs"])
    return ("Everything was computed in float32: prompts, log-probabilities and answers had to be equal." if exact else
            "Something is rounded to 16 bits: prompts had to be equal; log-probabilities may lie a little apart, and answers "
            "may part where two tokens were about equally likely.")


def _first(leg: Row) -> str:
    if leg["first_apart"] is None:
        return "not told"
    apart = float(leg["first_apart"])
    return f"at most {apart:.3f} nats apart" if apart >= 0.001 else "less than 0.001 nats apart"


def _answers(leg: Row) -> str:
    said = f"{leg['equal']:,} of {leg['items']:,} equal"
    return f"{said}, {leg['rounded']:,} part at a near tie" if leg["rounded"] else said
