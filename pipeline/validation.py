"""A JSONL file of conversations, checked line by line as fine-tuning services check it, and all its problems said.

The form is OpenAI's chat format for supervised fine-tuning (`{"messages": [{"role", "content", "weight"?}, …]}`), which Azure,
Nebius and others read too, and which our own trainer reads.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.checking.cleaning import cleaning_findings
from pipeline.checking.finding import Finding, Messages
from pipeline.checking.kinds import BY_KEY
from pipeline.checking.privacy import privacy_findings
from pipeline.checking.quality import estimated_tokens
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child
from pipeline.specs import ValidateSpec

PROBLEMS = "problems.jsonl"
LEAST_EXAMPLES = 10
MOST_BYTES = 512 << 20
LONG_CHARACTERS = 4_000
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
LINE_KEYS = {"messages", "tools", "functions", "parallel_tool_calls", "id", "metadata"}
TURN_KEYS = {"role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal"}
TEXT_KINDS = ("literal_newline", "placeholder", "mojibake", "html")
LENGTH_STEPS = (0, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12800)
"""Estimated tokens at which bars of the length chart begin; the last is open."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")


class Problem(NamedTuple):
    """One thing wrong. `line` counts from 1, 0 stands for the whole file; `turn` from 1, None for the whole line.

    An error keeps the file from being used; a warning is for a person to judge.
    """

    line: int
    turn: int | None
    severity: str
    kind: str
    sentence: str


def run(child: Child, spec: ValidateSpec, workspace: Path) -> dict[str, Any]:
    """Read the file once and write every problem to problems.jsonl.

    Raises PipelineError when the file is gone, Stopped when asked to stop.
    """
    path = workspace / spec.file
    if not path.is_file():
        raise PipelineError(f"There is no file {path.name} any more.", "Choose it again.")
    validation = Validation(spec.max_tokens)
    size, done = path.stat().st_size, 0
    beside = child.folder / f".{PROBLEMS}.tmp"
    with path.open("rb") as file, beside.open("w", encoding="utf-8") as out:
        for raw in file:
            if child.stop_requested():
                raise Stopped("Stopped before the end of the file, as asked; nothing is said of it.")
            _write(out.write, validation.line(raw))
            done += len(raw)
            child.say("validating", done >> 10, size >> 10, "KiB", f"Line {validation.number:,}")
        _write(out.write, validation.end(size))
    beside.rename(child.folder / PROBLEMS)
    return validation.summary()


def done_words(data: dict[str, Any]) -> str:
    """The verdict in one line."""
    errors, warnings = data["errors"], data["warnings"]
    more = f"; {warnings:,} warning{'' if warnings == 1 else 's'} to look at" if warnings else ""
    if errors:
        return (f"Not ready: {errors:,} error{'' if errors == 1 else 's'}; {data['lines_with_errors']:,} of {data['lines']:,} "
                f"lines cannot be used{more}.")
    return f"Ready: {data['examples']:,} examples, about {data['tokens']:,} tokens{more}."


class Validation:
    """The state of one reading: what was counted, and hashes of what was said before (about 100 bytes a line)."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.number = self.examples = self.turns = 0
        self.roles: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.severities: Counter[str] = Counter()
        self.lines_with_errors = 0
        self.tokens = array("l")
        self._whole: dict[bytes, int] = {}
        self._asked: dict[bytes, tuple[int, bytes]] = {}

    def line(self, raw: bytes) -> list[Problem]:
        """Everything wrong with the next line of the file."""
        self.number += 1
        return self._kept(list(self._line(raw)))

    def end(self, size: int) -> list[Problem]:
        """What only the whole file shows."""
        found = []
        if self.examples < LEAST_EXAMPLES:
            found.append(Problem(0, None, "error", "too_few", f"The file has {self.examples} usable examples; services ask for "
                                 f"at least {LEAST_EXAMPLES}."))
        if size > MOST_BYTES:
            found.append(Problem(0, None, "error", "too_large", f"The file has {size >> 20:,} MiB; OpenAI takes up to 512."))
        return self._kept(found)

    def summary(self) -> dict[str, Any]:
        ordered = sorted(self.tokens)
        ends = [*LENGTH_STEPS[1:], 1 << 62]
        steps = [sum(low <= count < high for count in ordered) for low, high in zip(LENGTH_STEPS, ends, strict=True)]
        return {"lines": self.number, "examples": self.examples, "turns": self.turns, "roles": dict(self.roles),
                "kinds": dict(self.kinds), "errors": self.severities["error"], "warnings": self.severities["warning"],
                "lines_with_errors": self.lines_with_errors, "tokens": sum(ordered), "longest": ordered[-1] if ordered else 0,
                "median": ordered[len(ordered) // 2] if ordered else 0, "length_from": list(LENGTH_STEPS),
                "length_steps": steps}

    def _kept(self, found: list[Problem]) -> list[Problem]:
        self.kinds.update(problem.kind for problem in found)
        self.severities.update(problem.severity for problem in found)
        self.lines_with_errors += any(problem.severity == "error" and problem.line for problem in found)
        return found

    def _line(self, raw: bytes) -> Iterator[Problem]:
        if self.number == 1 and raw.startswith(b"\xef\xbb\xbf"):
            yield self._warn("bom", "The file begins with a byte-order mark, which some services refuse.")
            raw = raw[3:]
        if not raw.strip():
            yield self._warn("blank", "The line is blank.")
            return
        try:
            found = json.loads(raw.decode(), parse_constant=_no_constant, object_pairs_hook=_once)
        except UnicodeDecodeError as error:
            yield self._error("not_utf8", f"Byte {error.start + 1} of the line is not UTF-8.")
            return
        except json.JSONDecodeError as error:
            yield self._error("not_json", f"The line is not JSON: {error.msg.lower()} at column {error.colno}.")
            return
        except RecursionError:
            yield self._error("not_json", "The line is nested too deeply.")
            return
        except ValueError as error:
            yield self._error("not_json", f"The line is not JSON: {error}.")
            return
        yield from self._conversation(found)

    def _conversation(self, found: object) -> Iterator[Problem]:
        if not isinstance(found, dict):
            yield self._error("not_object", "The line is not a JSON object.")
            return
        turns = found.get("messages")
        if not isinstance(turns, list):
            other = next((key for key in ("conversations", "prompt", "instruction", "text") if key in found), "")
            hint = f" It has {other!r}: the Import page reads that form." if other else ""
            yield self._error("no_messages", f"The line has no list called 'messages'.{hint}")
            return
        for key in sorted(set(found) - LINE_KEYS)[:3]:
            yield self._warn("unknown_key", f"The key {key[:40]!r} is not known to fine-tuning services.")
        problems = [problem for place, turn in enumerate(turns, start=1) for problem in self._turn(place, turn)]
        problems += self._order([turn for turn in turns if isinstance(turn, dict)])
        yield from problems
        if any(problem.severity == "error" for problem in problems):
            return
        self.examples += 1
        yield from self._texts([{"role": turn["role"], "content": _text(turn.get("content"))} for turn in turns])

    def _turn(self, place: int, turn: object) -> Iterator[Problem]:
        self.turns += 1
        if not isinstance(turn, dict):
            yield self._error("turn_form", "The turn is not an object.", place)
            return
        role, content = turn.get("role"), turn.get("content")
        if not isinstance(role, str) or role not in ROLES:
            yield self._error("role", f"The role {str(role)[:40]!r} is not one of {', '.join(ROLES[:5])}.", place)
        else:
            self.roles[role] += 1
        for key in sorted(set(turn) - TURN_KEYS)[:3]:
            yield self._warn("unknown_key", f"The key {key[:40]!r} of the turn is not known to fine-tuning services.", place)
        calls = role == "assistant" and (turn.get("tool_calls") or turn.get("function_call"))
        if not _is_content(content) and not (content is None and calls):
            yield self._error("content", "The content is neither text nor a list of text parts.", place)
        elif not _text(content).strip() and not calls:
            yield self._error("empty", "The content is empty.", place)
        if "weight" in turn and (role != "assistant" or type(turn["weight"]) is not int or turn["weight"] not in (0, 1)):
            yield self._error("weight", "A weight is 0 or 1, and only the assistant's turns have one.", place)

    def _order(self, turns: list[dict[str, Any]]) -> Iterator[Problem]:
        roles = [turn.get("role") for turn in turns]
        if len(turns) < 2:
            yield self._error("too_few_turns", "A conversation needs at least two turns.")
        for place, role in enumerate(roles[1:], start=2):
            if role in ("system", "developer"):
                yield self._error("order", "A system turn stands first or not at all.", place)
            elif role == roles[place - 2] and role in ("user", "assistant"):
                yield self._warn("order", f"Two {role} turns follow each other.", place)
        if roles and roles[-1] != "assistant":
            yield self._error("last_turn", "The last turn is not the assistant's: there is nothing to learn.", len(roles))
        elif "user" not in roles:
            yield self._warn("order", "Nobody asks: there is no user turn.")
        own = [turn.get("weight", 1) for turn in turns if turn.get("role") == "assistant"]
        if own and all(weight == 0 for weight in own):
            yield self._error("weight", "Every assistant turn has weight 0: there is nothing to learn.")

    def _texts(self, messages: Messages) -> Iterator[Problem]:
        tokens = estimated_tokens(messages)
        self.tokens.append(tokens)
        characters = sum(len(turn["content"]) for turn in messages)
        if tokens > self.max_tokens:
            yield self._error("too_long", f"About {tokens:,} tokens, more than the {self.max_tokens:,} that are allowed.")
        elif characters > LONG_CHARACTERS:
            yield self._warn("long", f"{characters:,} characters: very long for one example.")
        for place, turn in enumerate(messages, start=1):
            if _CONTROLS.search(turn["content"]):
                yield self._warn("control", "The text holds control or replacement characters.", place)
        yield from self._said_before(messages)
        sides = [turn | {"role": "user" if turn["role"] in ("tool", "function") else turn["role"]} for turn in messages]
        for finding in (*privacy_findings(sides), *cleaning_findings(sides)):
            if _counts(finding):
                yield self._warn(finding.kind, f"{BY_KEY[finding.kind].title}: {finding.evidence.rstrip('.')}."
                                 if BY_KEY[finding.kind].group != "privacy" else f"The text holds {finding.evidence}.",
                                 finding.turn + 1)

    def _said_before(self, messages: Messages) -> Iterator[Problem]:
        whole = _hash(json.dumps(messages))
        asked, answer = _hash(json.dumps(messages[:-1])), _hash(messages[-1]["content"])
        if whole in self._whole:
            yield self._warn("duplicate", f"The same conversation stands on line {self._whole[whole]:,}.")
        elif asked in self._asked and self._asked[asked][1] != answer:
            yield self._warn("contradiction", f"Line {self._asked[asked][0]:,} asks the same and answers in other words.")
        self._whole.setdefault(whole, self.number)
        self._asked.setdefault(asked, (self.number, answer))

    def _error(self, kind: str, sentence: str, turn: int | None = None) -> Problem:
        return Problem(self.number, turn, "error", kind, sentence)

    def _warn(self, kind: str, sentence: str, turn: int | None = None) -> Problem:
        return Problem(self.number, turn, "warning", kind, sentence)


def _counts(finding: Finding) -> bool:
    kind = BY_KEY[finding.kind]
    return finding.score >= kind.threshold and (kind.group == "privacy" or finding.kind in TEXT_KINDS)


def _write(write: Callable[[str], Any], found: list[Problem]) -> None:
    for problem in found:
        write(json.dumps(problem._asdict(), ensure_ascii=False) + "\n")


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _is_content(content: object) -> bool:
    if isinstance(content, list):
        return all(isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
                   for part in content)
    return isinstance(content, str)


def _text(content: Any) -> str:
    """The content as text; halves of characters, which JSON can hold, become replacement characters."""
    whole = "\n".join(part["text"] for part in content) if isinstance(content, list) else content or ""
    return whole.encode("utf-8", "replace").decode()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {twice[:40]!r} stands twice in one object")
    return found
