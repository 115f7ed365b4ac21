// What the review desk looks like. ReviewDesk (review.js) knows what the acts mean.

const VERDICTS = [
  { do: "left", key: "1", also: "ArrowLeft", label: "Answer 1", help: "Answer 1 is better" },
  { do: "right", key: "2", also: "ArrowRight", label: "Answer 2", help: "Answer 2 is better" },
  { do: "tie", key: "t", label: "Both good", help: "Both are equally good" },
  { do: "both_bad", key: "b", label: "Both bad", help: "Neither could be sent" },
];
const TOOLS = [
  { do: "reference", key: "r", label: "Reference", help: "Show or hide the answer a person gave" },
  { do: "differences", key: "d", label: "Differences", help: "Mark the words that only one of the two has" },
  { do: "conversation", key: "c", label: "Whole conversation", help: "Show all turns before the question" },
  { do: "mark", key: "x", label: "Mark", help: "Mark words and say what is wrong: select them, or move with the arrows" },
  { do: "rubric", key: "q", label: "Scores", help: "Score both answers: 1 to 5, cell by cell" },
  { do: "note", key: "m", label: "Note", help: "Write a note that goes with your verdict" },
  { do: "better", key: "w", label: "Better answer", help: "Write the answer that should have been given" },
  { do: "skip", key: "s", label: "Skip", help: "Come back to it later" },
  { do: "back", key: "k", label: "Back", help: "Go back one pair" },
  { do: "undo", key: "u", label: "Undo", help: "Take back your newest verdict" },
  { do: "help", key: "?", label: "Keys", help: "Show or hide all keys" },
];
const SAID = { left: "You chose answer 1", right: "You chose answer 2", tie: "You said: both good", both_bad: "You said: both bad" };
const SIDES = [["left", "Answer 1"], ["right", "Answer 2"]];

class ReviewView {
  build() {
    this.frame = make("section", "desk review");
    this.frame.tabIndex = -1;
    this.frame.setAttribute("aria-label", "Pair to judge");
    const top = make("div", "top");
    this.progress = this.named(make("span", "progress"), "progress");
    this.saved = this.named(make("span", "saved"), "saved");
    this.saved.setAttribute("role", "status");
    top.append(this.progress, this.saved);
    this.live = make("div", "unseen");
    this.live.setAttribute("aria-live", "polite");
    this.body = this.named(make("div", "body"), "card");
    this.body.tabIndex = 0;
    this.body.setAttribute("role", "article");
    this.body.setAttribute("aria-label", "The pair");
    this.body.addEventListener("pointerup", () => setTimeout(() => this.offerMark()));
    this.rubric = this.named(make("div", "rubric"), "rubric");
    this.marks = this.named(make("ul", "spans"), "marks");
    this.noteField = this.area("note", "Note on this pair", "Note, goes with your verdict (Esc: back to the keys)", 2);
    this.betterField = this.area("better", "A better answer", "The answer that should have been given, goes with your verdict (Esc: back to the keys)", 6);
    this.better = make("div", "betterbox");
    this.better.append(this.startFrom("left", "Start from answer 1"), this.startFrom("right", "Start from answer 2"), this.betterField);
    this.foot();
    this.frame.append(top, this.live, this.body, this.rubric, this.marks, this.noteField, this.better, this.footer);
    this.root.append(this.frame);
  }

  named(element, name) { element.dataset.testid = `review-${name}`; return element; }

  area(name, label, words, rows) {
    const found = this.named(make("textarea", "note"), `${name}-field`);
    found.rows = rows;
    found.maxLength = name === "note" ? 4000 : 40000;
    found.setAttribute("aria-label", label);
    found.placeholder = words;
    found.addEventListener("input", () => { if (this.card) { this.draft()[name] = found.value; this.keep(); } });
    return found;
  }

  startFrom(side, label) {
    const found = this.named(make("button", "act", label), `from-${side}`);
    found.type = "button";
    found.addEventListener("click", () => { this.draft().better = this.betterField.value = this.card[side]; this.keep(); this.betterField.focus(); });
    return found;
  }

  foot() {
    this.footer = make("div", "foot");
    this.words = this.named(make("p", "words"), "words");
    this.words.setAttribute("role", "alert");
    this.words.hidden = true;
    this.kinds = this.named(make("div", "kinds"), "kinds");
    this.kinds.hidden = true;
    this.kinds.setAttribute("role", "toolbar");
    this.kinds.setAttribute("aria-label", "What is wrong with the marked words");
    this.faultNote = this.named(make("input"), "fault-note");
    this.faultNote.maxLength = 1000;
    this.faultNote.setAttribute("aria-label", "What is wrong there");
    this.faultNote.placeholder = "Say more, then Enter (Esc: leave it)";
    this.faultNote.hidden = true;
    this.bar = make("div", "bar");
    this.bar.setAttribute("role", "toolbar");
    this.bar.setAttribute("aria-label", "Verdict");
    this.tools = make("div", "tools");
    this.tools.setAttribute("role", "toolbar");
    this.tools.setAttribute("aria-label", "What else to do with the pair");
    this.bar.append(...VERDICTS.map((one) => this.button(one)));
    this.tools.append(...TOOLS.filter((one) => one.do !== "rubric" || this.def.rubric.length).map((one) => this.button(one)));
    this.help = this.named(make("div", "help"), "help");
    this.help.hidden = true;
    this.help.append(...[...VERDICTS, ...TOOLS].map((one) => {
      const line = make("div", "line");
      line.append(make("kbd", "", [one.key.toUpperCase(), ...(one.also ? [{ ArrowLeft: "←", ArrowRight: "→" }[one.also]] : [])].join(" or ")), make("span", "", one.help));
      return line;
    }));
    this.footer.append(this.words, this.kinds, this.faultNote, this.bar, this.tools, this.help);
  }

  button(one) {
    const found = this.named(make("button", `act act-${one.do}`), one.do.replace("_", "-"));
    found.type = "button";
    found.title = one.help;
    found.dataset.verb = one.do;
    found.setAttribute("aria-keyshortcuts", one.key);
    found.append(kbd(one.key), make("span", "", one.label));
    found.addEventListener("pointerdown", (event) => event.preventDefault()); // keys and selected text stay where they are
    found.addEventListener("click", () => this.act(one.do));
    return found;
  }

  // --- painting -----------------------------------------------------------------------------------------------------
  paint() {
    this.top();
    const card = this.card;
    if (!card) {
      delete this.body.dataset.card;
      this.body.replaceChildren(this.end());
    } else {
      const waiting = card.question.filter((turn) => turn.role !== "system"), last = waiting.length - 1;
      const before = this.whole ? waiting.slice(0, last) : [];
      const asked = [...before, ...waiting.slice(last)].map((turn) => turnBox(turn, "", [], true));
      const said = card.mine ? [make("div", "facts mine", `${SAID[card.mine.verdict]}. Another press replaces it.`)] : [];
      this.body.replaceChildren(...said, ...asked, this.pair(card), ...(this.referred ? [this.referenceBox(card)] : []));
      this.body.dataset.card = card.id;
    }
    this.paintExtras();
    for (const button of [...this.bar.children, ...this.tools.children]) {
      const verb = button.dataset.verb, open = { reference: this.referred, differences: this.differing, conversation: this.whole, rubric: !!this.cell, mark: !!this.marking }[verb];
      button.disabled = !card && !["undo", "back", "help"].includes(verb);
      if (open !== undefined) button.setAttribute("aria-pressed", String(open));
      if (verb === "conversation") button.hidden = !card || card.question.filter((turn) => turn.role !== "system").length < 2;
      if (verb === "reference") button.hidden = !card || !card.reference;
    }
  }

  top() {
    const done = Math.min(this.numbers.cards, this.numbers.mine + this.since);
    this.progress.textContent = `${done.toLocaleString("en")} of ${this.numbers.cards.toLocaleString("en")} judged`;
    this.outbox.paint(this.saved);
  }

  pair(card) {
    const sides = make("div", "sides");
    for (const [side, name] of SIDES) {
      const box = make("div", `turn side ${card.mine?.verdict === side ? "chosen" : ""}`), said = make("div", "said");
      said.dir = "auto";
      said.dataset.turn = side;
      this.named(said, `answer-${side}`);
      const text = card[side];
      if (text) said.append(...markedText(text, this.marksOf(side, text)));
      else said.append(make("em", "", "(empty answer)"));
      box.append(make("div", "who", name), said);
      sides.append(box);
    }
    return sides;
  }

  referenceBox(card) {
    const box = this.named(make("div", "turn reference"), "reference-text");
    box.append(make("div", "who", "Reference: what a person answered"), make("div", "said", card.reference));
    return box;
  }

  paintExtras() {
    const card = this.card, draft = card && this.draft();
    this.rubric.hidden = !card || !this.def.rubric.length;
    if (card && this.def.rubric.length) this.rubric.replaceChildren(this.rubricTable(draft));
    this.marks.hidden = !card || !draft.faults.length;
    if (card) this.marks.replaceChildren(...draft.faults.map((fault, at) => this.markLine(fault, at)));
    this.noteField.hidden = !card || (!draft.note && this.root.activeElement !== this.noteField && !this.noting);
    this.better.hidden = !card || (!draft.better && this.root.activeElement !== this.betterField && !this.writing);
    if (card && this.root.activeElement !== this.noteField) this.noteField.value = draft.note;
    if (card && this.root.activeElement !== this.betterField) this.betterField.value = draft.better;
    this.kinds.hidden = !this.marking;
  }

  rubricTable(draft) {
    const table = make("table"), head = make("tr");
    head.append(make("th", ""), ...SIDES.map(([, name]) => make("th", "", name)));
    table.append(head, ...this.def.rubric.map((one) => {
      const row = make("tr");
      row.append(make("th", "", one.title), ...SIDES.map(([side, name]) => this.scoreCell(draft, one, side, name)));
      return row;
    }));
    return table;
  }

  scoreCell(draft, one, side, name) {
    const cell = make("td", this.cell && this.cell.criterion === one.key && this.cell.side === side ? "active" : "");
    cell.setAttribute("role", "radiogroup");
    cell.setAttribute("aria-label", `${one.title}, ${name}`);
    for (let value = 1; value <= 5; value++) {
      const found = this.named(make("button", "score", String(value)), `score-${one.key}-${side}-${value}`);
      const on = draft.scores[side]?.[one.key] === value;
      found.type = "button";
      found.setAttribute("role", "radio");
      found.setAttribute("aria-checked", String(on));
      found.classList.toggle("on", on);
      found.addEventListener("pointerdown", (event) => event.preventDefault());
      found.addEventListener("click", () => { this.score(one.key, side, on ? 0 : value); this.paintExtras(); });
      cell.append(found);
    }
    return cell;
  }

  markLine(fault, at) {
    const text = this.card[fault.side], piece = text.slice(units(text, fault.start), units(text, fault.end));
    const words = piece ? `“${piece.length > 90 ? `${piece.slice(0, 90)}…` : piece}”` : "the whole answer";
    const line = make("li"), off = make("button", "off", "×");
    line.append(make("strong", "", this.titleOf(fault.kind)), document.createTextNode(` in ${fault.side === "left" ? "answer 1" : "answer 2"}: ${words}${fault.note ? `: ${fault.note}` : ""}`), off);
    off.type = "button";
    off.setAttribute("aria-label", "Take off this mark");
    off.addEventListener("click", () => { this.draft().faults.splice(at, 1); this.keep(); this.paint(); this.hold(); });
    return line;
  }

  titleOf(kind) { return this.def.faults.find((one) => one.key === kind)?.title || kind; }

  end() {
    const box = make("div", "end");
    if (this.more || this.asking) { box.append(make("strong", "", "Loading…")); return box; }
    const left = this.numbers.cards - this.numbers.mine - this.since;
    box.append(make("strong", "", left > 0 ? "End of your pairs; some were skipped" : "You have judged all your pairs"));
    box.append(make("p", "", left > 0 ? `${left} still wait for a verdict.` : "Thank you. Below you may ask for more; who opened the session ends it."));
    if (left > 0) {
      const again = this.named(make("button", "act", "Go through them again"), "again");
      again.type = "button";
      again.addEventListener("click", () => this.again());
      box.append(again);
    }
    return box;
  }
}
