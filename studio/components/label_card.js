// How a record, its marks and the fields of a label set look. Everything from data enters through textContent; the word of a
// span stands in an attribute that the style sheet prints, so that it never counts as text of the record.

const LONG = 20000; // characters of a turn that are drawn at once; the rest on demand, or a megabyte would stop the keys
const ROLES = { system: "System prompt", user: "Customer", assistant: "Agent" };
const WORDS = { keep: "Kept", drop: "Dropped", undecided: "Undecided" };
const HIDDEN = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const COLOUR = /^#[0-9a-fA-F]{6}$/;

// Spans count characters as Python does; a browser counts some (most emoji) twice.
const points = (text, units) => Array.from(text.slice(0, units)).length;
function units(text, wanted) {
  if (!/[\ud800-\udfff]/.test(text)) return wanted;
  return Array.from(text).slice(0, wanted).join("").length;
}

function wordsOf(text) {
  return [...text.slice(0, LONG).matchAll(/[\p{L}\p{N}]+(?:['’.@_-][\p{L}\p{N}]+)*|[^\s\p{L}\p{N}]+/gu)]
    .map((found) => ({ start: found.index, end: found.index + found[0].length }));
}

// What is selected inside one turn of `body`, in browser units; null where it is nothing, or not within one turn.
function selectedIn(root, body) {
  const all = document.getSelection();
  const range = all?.getComposedRanges ? all.getComposedRanges({ shadowRoots: [root] })[0] : all?.rangeCount ? all.getRangeAt(0) : null;
  if (!range || (range.startContainer === range.endContainer && range.startOffset === range.endOffset)) return null;
  const said = (range.startContainer.parentElement || range.startContainer).closest?.(".said");
  if (!said || !body.contains(said) || !said.contains(range.endContainer)) return null;
  const offset = (node, at) => {
    const before = document.createRange();
    before.selectNodeContents(said);
    before.setEnd(node, at);
    return before.toString().length;
  };
  const start = offset(range.startContainer, range.startOffset), end = offset(range.endContainer, range.endOffset);
  return start < end ? { turn: said.dataset.turn, start, end } : null;
}

function tinted(element, colour) {
  if (COLOUR.test(colour || "")) element.style.setProperty("--tint", colour);
  return element;
}

// The text of a turn cut where a mark begins or ends; `marks` hold start and end in browser units, a word, a colour or cursor.
function markedText(text, marks) {
  const inside = marks.filter((mark) => mark.start < mark.end && mark.end <= text.length);
  const cuts = [...new Set([0, text.length, ...inside.flatMap((mark) => [mark.start, mark.end])])].sort((a, b) => a - b);
  return cuts.slice(1).map((end, place) => {
    const over = inside.filter((mark) => mark.start < end && mark.end > cuts[place]);
    const piece = text.slice(cuts[place], end);
    if (!over.length) return document.createTextNode(piece);
    const found = make("mark", over.some((mark) => mark.cursor) ? "cursor" : "span", piece);
    const named = over.filter((mark) => mark.word && mark.end === end).map((mark) => mark.word);
    if (named.length) found.dataset.word = named.join(" + ");
    return tinted(found, over.find((mark) => mark.colour)?.colour);
  });
}

function turnBox(turn, place, marks, whole, showAll) {
  const folded = turn.role === "system" && !marks.length; // the same for every record: one line until it is wanted
  const box = make(folded ? "details" : "div", `turn ${ROLES[turn.role] ? turn.role : "user"}`);
  const said = make("div", "said");
  said.dir = "auto";
  said.dataset.turn = place;
  const shown = whole ? turn.content : turn.content.slice(0, LONG);
  said.append(...markedText(shown, marks));
  box.append(make(folded ? "summary" : "div", "who", ROLES[turn.role] || turn.role), said);
  if (shown.length < turn.content.length) {
    const more = make("button", "act more", `Show all ${turn.content.length.toLocaleString("en")} characters`);
    more.type = "button";
    more.addEventListener("click", () => showAll(place));
    box.append(more);
  }
  return box;
}

function editField(turn, place, draft, changed) {
  const box = make("div", `turn ${turn.role}`);
  const field = make("textarea");
  field.value = draft;
  field.rows = Math.min(16, Math.max(2, Math.ceil(draft.length / 70) + draft.split("\n").length - 1));
  field.setAttribute("aria-label", `${ROLES[turn.role]}, turn ${place + 1}`);
  field.dataset.testid = `label-edit-${place}`;
  field.addEventListener("input", () => changed(field.value));
  box.append(make("div", "who", ROLES[turn.role]), field);
  return box;
}

function factsOf(card, drop) {
  const facts = make("div", "facts");
  facts.append(make("span", `mark ${card.decision}`, WORDS[card.decision] || card.decision));
  if (card.mine) facts.append(make("span", "mark answered", "You answered this"));
  if (card.state === "skipped") facts.append(make("span", "mark", "You skipped this"));
  if (card.marks.flag) facts.append(make("span", "mark flag", "⚑ Flagged"));
  if (card.marks.rating) facts.append(make("span", "mark", `${"★".repeat(card.marks.rating)} rated ${card.marks.rating} of 5`));
  for (const tag of card.marks.tags) {
    const chip = make("span", "mark tag", `# ${tag} `);
    const off = make("button", "off", "×");
    off.type = "button";
    off.setAttribute("aria-label", `Take off the tag ${tag}`);
    off.addEventListener("click", () => drop(tag));
    chip.append(off);
    facts.append(chip);
  }
  for (const fact of card.facts) facts.append(make("span", "", fact));
  if (card.messages.some((turn) => HIDDEN.test(turn.content))) facts.append(make("span", "mark", "holds invisible direction marks"));
  return facts;
}

// An answer in words: titles of options, what a span covers, texts as they are.
function answerWords(answer, fields, card) {
  const title = (field, value) => field.options.find((option) => option.value === value)?.title ?? String(value);
  const one = (field, value) => {
    if (value === undefined || value === null || (Array.isArray(value) && !value.length)) return "nothing";
    if (field.kind === "multi") return value.map((each) => title(field, each)).join(", ");
    if (field.kind !== "spans") return title(field, value);
    return value.map((span) => {
      const text = card.messages[span.turn]?.content || "";
      return `“${text.slice(units(text, span.start), units(text, span.end))}” ${title(field, span.value)}`;
    }).join(", ");
  };
  return fields.map((field) => `${field.title}: ${one(field, answer[field.key])}`).join(" · ");
}

function exampleBox(example, fields) {
  const box = make("div", "example");
  for (const turn of example.messages.filter((one) => one.role !== "system")) {
    const line = make("div", "line");
    line.append(make("strong", "", `${ROLES[turn.role] || turn.role}: `), document.createTextNode(turn.content.slice(0, 600)));
    box.append(line);
  }
  box.append(make("div", "verdict", `→ ${answerWords(example.answer, fields, example)}`));
  if (example.why) box.append(make("div", "why", example.why));
  return box;
}

function kbd(text) { return make("kbd", "", text === " " ? "Space" : text.length === 1 ? text.toUpperCase() : text); }
