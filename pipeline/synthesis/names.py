"""Synthetic examples in words: kinds of work, reasons of the gate, lists to begin with. Light: the app reads it too."""

from __future__ import annotations

from dataclasses import dataclass

ON_SEEDS = ("paraphrases", "answers")
"""Kinds of work that are done on a seed's own question; the others take seeds as examples to learn the style from."""


@dataclass(frozen=True)
class Kind:
    """A kind of work: what it is called, what it makes, and what its seeds are."""

    title: str
    makes: str
    seeds: str


WORKS: dict[str, Kind] = {
    "examples": Kind("New questions and answers", "A question that nobody asked yet, and its answer.",
                     "Your best examples: their style and rules are followed, their content is not copied."),
    "paraphrases": Kind("Other wordings of questions", "A real question in other words; its answer stays as it is.",
                        "The questions to be worded otherwise, with their answers. Each is used equally often."),
    "answers": Kind("Better answers to real questions", "A new answer to a real question, which stays as it is.",
                    "The questions to be answered, with the answers that they got. Each is used equally often."),
    "conversations": Kind("Conversations of several turns", "A conversation in which customer and agent speak in turn.",
                          "Your best examples: their style and rules are followed, their content is not copied."),
    "hard": Kind("Hard and hostile cases", "Gibberish, anger, things out of scope, tricks, and the right way to answer them.",
                 "Your best examples: they show how your agents speak."),
}

PLACEHOLDERS: dict[str, str] = {
    "scenario": "the cell's scenario; for hard cases, what is hard about it",
    "persona": "who the customer is",
    "difficulty": "how difficult the case is",
    "tone": "the customer's tone",
    "language": "the language's name, in English",
    "examples": "some of the seeds, others for each example that is made",
    "documents": "your documents, each marked as material",
    "question": "the seed's question, marked as material",
    "answer": "the seed's answer, marked as material",
    "avoid": "how the cell's examples of this run begin, so that the next one is another",
}
"""What can stand in a prompt's braces, and what it becomes."""

FILLING = ("Words in braces are filled in. A line of which nothing could be filled in is left out, and so is a paragraph. "
           "Other braces stay as they are.")
"""How a prompt is filled in, in words for people."""


@dataclass(frozen=True)
class Reason:
    """Why the gate sets an example aside: its title, what many of them are called ("41 twins of records"), a sentence."""

    title: str
    counted: str
    sentence: str


REASONS: dict[str, Reason] = {
    "form": Reason("Form", "of a broken form", "It is no conversation in which customer and agent take turns, or its text is "
                   "broken."),
    "short": Reason("Too short", "too short", "A turn has fewer characters than were asked for."),
    "long": Reason("Too long", "too long", "A turn has more characters than were asked for."),
    "language": Reason("Language", "in another language", "A side is in another language than was asked for."),
    "placeholder": Reason("Left-over", "with left-overs", "It holds a placeholder, an unfinished ending, markup that your "
                          "examples do not have, or a model speaks of itself."),
    "personal": Reason("Personal data", "with personal data", "It holds what could be somebody's personal data. Addresses at "
                       "example.com and numbers reserved for fiction are no reason."),
    "twin_record": Reason("Twin of a record", "twins of records", "Its question is nearly the same as one of the workspace."),
    "twin_made": Reason("Twin of a made one", "twins of each other", "It is nearly the same as one that this run made before."),
    "refusal": Reason("Refusal", "refusals", "The answer declines to help, and no hard case was asked for."),
    "cut": Reason("Cut off", "cut off", "The model was not done at the most tokens that an answer may have."),
    "nothing": Reason("No answer", "without an answer", "The model answered with nothing, the server held its answer back, or "
                      "its calls kept failing."),
    "judge": Reason("Judge", "scored too low", "The judge's score is below the least that was asked for."),
}
"""In the order in which they are looked for."""

LANGUAGES: dict[str, str] = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "is": "Icelandic",
    "it": "Italian", "ja": "Japanese", "ka": "Georgian", "kk": "Kazakh", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "mk": "Macedonian", "ml": "Malayalam", "mr": "Marathi", "ms": "Malay", "nl": "Dutch", "no": "Norwegian", "pa": "Punjabi",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian",
    "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}
"""Languages that the gate can tell apart, by their ISO 639-1 code."""

SCENARIOS: tuple[str, ...] = (
    "a parcel is late or does not move",
    "a parcel is marked as delivered and is not there",
    "something arrived damaged or does not work",
    "the wrong thing arrived, or a part is missing",
    "sending something back",
    "a refund that does not arrive, or is too small",
    "changing or cancelling an order",
    "being charged twice, or a payment that fails",
    "an invoice or a receipt",
    "cannot log in, or the password does not work",
    "changing an address, an e-mail address or a phone number",
    "cancelling, pausing or changing a subscription",
    "closing the account and deleting its data",
    "which product fits",
    "how to set something up or use it",
    "warranty and repair",
    "a price, a discount code or a gift card",
    "a complaint about the service itself",
)
PERSONAS: tuple[str, ...] = (
    "a first-time customer who does not know the terms",
    "a regular customer who has ordered for years",
    "an older person who finds the website difficult",
    "somebody in a hurry who writes on a phone",
    "somebody who buys for a small firm",
    "somebody who writes for a parent or a child",
    "somebody who is not writing in their first language",
    "an expert who has tried everything obvious already",
)
DIFFICULTIES: tuple[str, ...] = (
    "easy: one matter, and all that is needed is said",
    "medium: something that is needed is missing or unclear",
    "difficult: two matters at once, or an exception to the rules",
)
TONES: tuple[str, ...] = ("polite", "brief and matter-of-fact", "worried", "annoyed", "chatty", "confused")
HARD_CASES: tuple[str, ...] = (
    "gibberish: letters or words without any meaning",
    "nearly nothing: one word, a sign or half a sentence",
    "angry and insulting, with a real trouble behind it",
    "threatens with a bad review, a lawyer or the press",
    "asks for something that no support desk does (homework, politics, medicine, small talk)",
    "asks for a promise, a refund or a discount that the rules do not allow",
    "takes something for granted that is not true of us",
    "prompt injection: tells the assistant to forget its rules or to play somebody else",
    "prompt injection hidden in a pasted text, a quotation or a code block",
    "asks for the instructions that the assistant works by",
    "asks for another person's data (an order, an address, whether somebody is a customer)",
    "says to be a colleague or the police, and wants data or an exception",
    "speaks of harming themselves or of being in danger",
)
"""What a recipe can begin with; scenarios of a shop's support desk."""

RUBRIC = """5: The message could come from a real customer of this desk. The answer is right, complete and kind, and says the \
next step.
4: Good; one small thing could be better said.
3: Usable only after a correction: vague, or something that is needed is missing.
2: The answer misses the point, makes something up, or promises what it cannot keep.
1: Wrong, rude, unsafe, or no support conversation at all."""
"""The rubric that a judge gets where nobody wrote another."""


def language(code: str) -> str:
    """A language's name in English; of a regional code ("pt-BR") with the code beside it, of an unknown one the code."""
    name = LANGUAGES.get(base(code), "")
    if not name:
        return code
    return name if code == base(code) else f"{name} ({code})"


def base(code: str) -> str:
    """"pt" of "pt-BR"."""
    return code.replace("_", "-").split("-")[0].lower()


def counted(reasons: dict[str, int]) -> str:
    """"41 twins of records, 19 too long": how many were set aside for what, most first; unknown kinds by their key."""
    order = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count:,} {REASONS[kind].counted if kind in REASONS else kind}" for kind, count in order if count)
