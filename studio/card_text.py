"""A data card in words: the same sentences on the page and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from studio import cards, findings, readiness
from studio.cards import Card
from studio.permissions import needs
from studio.readiness import Readiness
from studio.snapshots import SPLITS, Snapshot
from studio.ui.formats import count, share
from studio.workspace import Workspace

NOT_CHECKED = "Not checked for leaks: lines of test may stand in train, so a good score may mean nothing."
HELD = {"question": "asked the same question", "twins": "twins", "thread": "the same ticket", "customer": "the same customer"}
LANGUAGES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese",
             "nl": "Dutch", "pl": "Polish", "ru": "Russian", "zh": "Chinese", "ja": "Japanese", "und": "too short to tell"}
MEANINGS = {"tfidf": "TF-IDF (the same words weighed by how rare they are, no model)", "model2vec": "a model2vec model",
            "transformer": "a sentence transformer", "endpoint": "an endpoint's model"}


@dataclass(frozen=True)
class Section:
    title: str
    sentences: tuple[str, ...]


def sections(snapshot: Snapshot, card: Card, accepted: str = "") -> list[Section]:
    """Everything the card says, under its headings; `accepted` is who froze in spite of open personal data."""
    return [
        Section("Size", tuple(_size(snapshot, card))), Section("Where it comes from", tuple(_sources(card))),
        Section("What it is about", tuple(_mix(card))), Section("Length", tuple(_length(card))),
        Section("Who looked at it", tuple(_reviewed(card))),
        Section("Privacy and open findings", tuple(_privacy(card, accepted))),
        Section("Leaks and duplicates", tuple(_leaks(card))), Section("What held together", tuple(_held(snapshot, card))),
        Section("Made for", (_base(snapshot),))]


@needs("read")
def markdown(ws: Workspace, snapshot: Snapshot) -> str:
    """The card as a Markdown document; text from the data is escaped."""
    card = cards.get(ws, snapshot.snapshot_id)
    title = f"# {plain(snapshot.name)}\n\nSnapshot `{snapshot.snapshot_id}`, frozen {snapshot.frozen_at:%Y-%m-%d %H:%M} UTC.\n"
    if card is None:
        return title + "\nIt was frozen by an older Tunewright, which made no card.\n"
    said = sections(snapshot, card, findings.accepted(ws, snapshot.snapshot_id))
    parts = [f"\n## {one.title}\n\n" + "".join(f"- {plain(sentence)}\n" for sentence in one.sentences) for one in said]
    tables = _table("Tag", card.tags) + _table("Language", languages(card))
    return title + "".join(parts) + tables + _ready(readiness.judge(card.facts))


def _size(snapshot: Snapshot, card: Card) -> list[str]:
    parts = ", ".join(f"{card.counts[split]:,} {split}" for split in SPLITS)
    left = snapshot.manifest.get("left_over", 0)
    said = [f"{count(card.lines, 'line')}: {parts}."]
    if left:
        said.append(f"{count(left, 'record')} {'was' if left == 1 else 'were'} left over, as exact sizes were asked for.")
    return said


def _sources(card: Card) -> list[str]:
    if not card.known_here:
        return ["It was frozen in another workspace: its sources, decisions and findings are not known here."]
    said = [f"{row['source']}: {count(row['records'], 'line')}" + (", written by a model" if row["synthetic"] else "") + "."
            for row in card.sources]
    if card.from_reviews:
        corrected, written = card.from_reviews.get("version", 0), card.from_reviews.get("example", 0)
        said.append(f"From reviews: {count(corrected, 'answer')} corrected, {count(written, 'example')} written.")
    if card.tied:
        said.append("Tied by people: " + ", ".join(f"{count(number, 'record')} to {part}" for part, number in card.tied.items())
                    + ", with what hangs together with them.")
    return [*said, f"Synthetic: {share(card.synthetic, card.lines)}."]


def _mix(card: Card) -> list[str]:
    often = ", ".join(f"{tag} ({number:,})" for tag, number in list(card.tags.items())[:5])
    said = [f"{count(card.tags_in_all, 'tag')}; the most frequent: {often}."] if card.tags else ["No tags."]
    spoken = languages(card)
    if not card.measures:
        return [*said, "Languages were not measured: the check for leaks does that."]
    looked = sum(spoken.values())
    return [*said, "Languages of the questions: " + ", ".join(f"{name} {_percent(number, looked)}"
                                                              for name, number in list(spoken.items())[:5])
            + (f" (of {looked:,} lines looked at)." if looked < card.lines else ".")]


def _length(card: Card) -> list[str]:
    if not card.measures:
        return ["Lengths were not measured: the check for leaks does that."]
    found = card.measures["tokens"]
    how = ("counted by the base model's own tokenizer" if found["by"] == "tokenizer"
           else "estimated at four bytes each, as no base model's tokenizer was ready")
    return [f"{found['median']:,} tokens in the middle, 90 % of lines up to {found['p90']:,}, the longest "
            f"{found['longest']:,}; {found['total']:,} in all; {how}."]


def _reviewed(card: Card) -> list[str]:
    return [f"A person decided to keep or edited {share(card.reviewed, card.lines)} lines; {card.edited:,} of them hold a "
            "person's wording."]


def _privacy(card: Card, accepted: str) -> list[str]:
    if card.findings is None:
        said = ["Never checked for personal data, mail remains or weak answers."]
    else:
        names = {"privacy": "personal data", "cleaning": "something to clean", "quality": "weak quality"}
        open_ones = ", ".join(f"{card.findings[key]:,} {words}" for key, words in names.items())
        said = [f"Lines with open findings: {open_ones}."]
        if card.findings["unchecked"]:
            said.append(f"{count(card.findings['unchecked'], 'line')} not checked as now worded.")
    if accepted:
        return [*said, accepted]
    settled = card.gate and not card.gate["open_records"] and not card.gate["unchecked_records"]
    return [*said, "Personal data was settled when it was frozen." if settled else
            "Nobody was asked about personal data when it was frozen."]


def _leaks(card: Card) -> list[str]:
    said = [_leaked(card)] if card.leaks else [NOT_CHECKED]
    repeats = f"{count(card.identical_left_out, 'record')} left out as word-for-word repeats."
    twins = f"{count(card.twins_left, 'line')} with a twin in the snapshot, on the same side." if card.twins_searched else \
        "Twins were not searched for, so near-duplicates may be left."
    return [*said, repeats, twins]


def _leaked(card: Card) -> str:
    told: Mapping[str, object] = card.leaks or {}
    found, meaning = int(str(told["found"])), told["meaning"]
    how = f"exact copies and near twins (similarity {float(str(told['near_floor'])):.2f} and more)"
    how += f", and by meaning with {MEANINGS[meaning['kind']]}" if isinstance(meaning, dict) else ""
    if not found:
        return f"Checked for leaks: {how}. No line of validation or test resembles one of train."
    if told["later"]:
        return f"Checked for leaks after it was frozen: {how}. {count(found, 'line')} of validation and test resemble train."
    who = ", ".join(str(name) for name in told["accepted_by"]) if isinstance(told["accepted_by"], list) else ""
    return (f"Checked for leaks: {how}. {count(found, 'line')} resembled train; {told['quarantined']:,} quarantined, "
            f"{told['accepted']:,} accepted" + (f" by {who}." if who and told["accepted"] else "."))


def _held(snapshot: Snapshot, card: Card) -> list[str]:
    recipe, by = snapshot.manifest["recipe"], card.held.get("by", {})
    kept = [f"{number:,} {HELD[kind]}" for kind, number in by.items() if number]
    said = [f"Lines on one side with another: {', '.join(kept)}; the largest group has {card.held['largest']:,}." if kept else
            "No line had to stay with another."]
    if recipe.get("by_time"):
        begins = snapshot.manifest.get("begins", {})
        said.append(f"Split by time: validation begins {begins.get('validation', '?')}, test {begins.get('test', '?')}; "
                    f"{count(snapshot.manifest.get('undated') or 0, 'line')} without a time went to train.")
    elif recipe.get("stratify", "none") != "none":
        said.append(f"Every {recipe['stratify']} gives its share of each part.")
    return [*said, f"Seed {recipe['seed']}."]


def _base(snapshot: Snapshot) -> str:
    base = snapshot.manifest.get("base")
    if not base:
        return str(snapshot.manifest.get("base_note") or "No chat template is pinned.")
    template = base["chat_template_sha256"]
    return f"{base['name']}, chat template {template[:12]}…" if template else f"{base['name']}, which has no chat template."


def languages(card: Card) -> dict[str, int]:
    """Lines by language, of those looked at, the most first; empty where nobody looked."""
    found: Mapping[str, int] = (card.measures or {}).get("languages", {})
    return {LANGUAGES.get(code, code): number for code, number in sorted(found.items(), key=lambda item: -item[1])}


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}".replace("%", " %") if whole else "0 %"


def _table(name: str, rows: Mapping[str, int]) -> str:
    if not rows:
        return ""
    return f"\n| {name} | lines |\n|---|---:|\n" + "".join(f"| {plain(key)} | {number:,} |\n" for key, number in rows.items())


def _ready(found: Readiness) -> str:
    lines = "".join(f"- **{one.question}** {one.word.capitalize()}. {plain(one.sentence)}\n" for one in found.verdicts)
    return f"\n## Readiness\n\n{plain(found.sentence)}\n\n{lines}"


def plain(text: str) -> str:
    """Text that no Markdown comes from."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
