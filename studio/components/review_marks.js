// Marks and scores of a pair: on what is selected, or on words that the arrows move over; cell by cell. Places count characters as
// Python does.

class ReviewMarks extends ReviewView {
  // --- marks --------------------------------------------------------------------------------------------------------
  marksOf(side, text) {
    const found = this.draft().faults.filter((fault) => fault.side === side)
      .map((fault) => ({ start: units(text, fault.start), end: units(text, fault.end), word: this.titleOf(fault.kind), colour: "#cf5860" }));
    if (this.differing && this.apart?.[side]) for (const [start, end] of this.apart[side]) found.push({ start: units(text, start), end: units(text, end), colour: "#2a93a6" });
    const cursor = this.marking?.cursor && this.cursorPlace();
    return cursor?.turn === side ? [...found, { ...cursor, cursor: true }] : found;
  }

  // Selecting words with the mouse or a finger asks at once what is wrong with them.
  offerMark() {
    const place = this.card && !this.marking && this.trimmed(selectedIn(this.root, this.body));
    if (place && (place.turn === "left" || place.turn === "right")) this.mark();
  }

  mark() {
    const place = this.trimmed(selectedIn(this.root, this.body));
    if (place && place.turn !== "left" && place.turn !== "right") return this.say("Marks lie on the answers.");
    this.marking = place ? { place } : { cursor: { side: "left", from: 0, to: 0 } };
    this.kinds.replaceChildren(...this.def.faults.map((one, at) => {
      const found = this.named(make("button", "act"), `kind-${one.key}`);
      found.type = "button";
      found.append(kbd(String(at + 1)), make("span", "", one.title));
      found.addEventListener("pointerdown", (event) => event.preventDefault());
      found.addEventListener("click", () => this.addMark(one.key));
      return found;
    }));
    this.say(place ? "What is wrong there? Esc leaves it." : "Arrows move over the words, with Shift further, ↑ ↓ to the other answer; a number says what is wrong. Esc leaves it.");
    if (place) this.kinds.hidden = false; // drawing anew would lose what is selected
    else this.paint();
  }

  // Without the blanks at its ends; null where nothing else is selected.
  trimmed(place) {
    const text = place && this.card[place.turn];
    if (typeof text !== "string") return place;
    const piece = text.slice(place.start, place.end);
    const start = place.start + piece.length - piece.trimStart().length, end = place.start + piece.trimEnd().length;
    return start < end ? { ...place, start, end } : null;
  }

  addMark(kind) {
    const place = this.marking.place || this.cursorPlace();
    const text = this.card[place.turn], draft = this.draft();
    const fault = { side: place.turn, start: points(text, place.start), end: points(text, place.end), kind, note: "" };
    draft.faults = [...draft.faults.filter((one) => one.side !== fault.side || one.start !== fault.start || one.end !== fault.end || one.kind !== kind), fault];
    this.keep();
    document.getSelection()?.removeAllRanges();
    this.marking = null;
    this.say("");
    this.paint();
    this.noteOn = fault;
    this.faultNote.value = "";
    this.faultNote.hidden = false;
    this.faultNote.focus();
  }

  closeNote(keep) {
    if (keep && this.noteOn && this.faultNote.value.trim()) { this.noteOn.note = this.faultNote.value.trim(); this.keep(); }
    this.noteOn = null;
    this.faultNote.hidden = true;
    this.paintExtras();
    this.hold();
  }

  cursorPlace() {
    const { side, from, to } = this.marking.cursor, words = wordsOf(this.card[side]);
    if (!words.length) return { turn: side, start: 0, end: 0 };
    return { turn: side, start: words[Math.min(from, to)].start, end: words[Math.max(from, to)].end };
  }

  moveCursor(key, extend) {
    const at = this.marking.cursor;
    if (key === "ArrowUp" || key === "ArrowDown") this.marking.cursor = { side: at.side === "left" ? "right" : "left", from: 0, to: 0 };
    else {
      const last = wordsOf(this.card[at.side]).length - 1;
      const to = Math.min(last, Math.max(0, at.to + (key === "ArrowRight" ? 1 : -1)));
      this.marking.cursor = { side: at.side, from: extend ? at.from : to, to };
    }
    this.paint();
    this.body.querySelector(".cursor")?.scrollIntoView({ block: "nearest" });
    const place = this.cursorPlace();
    this.tell(this.card[place.turn].slice(place.start, place.end));
  }

  markKey(event) {
    const at = Number(event.key);
    if (event.key === "Escape") { this.marking = null; this.say(""); document.getSelection()?.removeAllRanges(); this.paint(); }
    else if (/^Arrow/.test(event.key) && this.marking.cursor) this.moveCursor(event.key, event.shiftKey);
    else if (at >= 1 && at <= this.def.faults.length) this.addMark(this.def.faults[at - 1].key);
    else return event.key !== "Shift";
    return true;
  }

  // --- scores -------------------------------------------------------------------------------------------------------
  cells() { return this.def.rubric.flatMap((one) => SIDES.map(([side]) => ({ criterion: one.key, side }))); }

  rubricAt(step) {
    const cells = this.cells(), at = cells.findIndex((one) => this.cell && one.criterion === this.cell.criterion && one.side === this.cell.side);
    this.cell = cells[at + step] || null;
    this.say(this.cell ? "1 to 5 scores the cell that stands out; arrows move, Esc leaves." : "");
    this.paintExtras();
    this.rubric.querySelector(".active")?.scrollIntoView({ block: "nearest" });
    if (this.cell) this.tell(`${this.def.rubric.find((one) => one.key === this.cell.criterion).title}, ${this.cell.side === "left" ? "answer 1" : "answer 2"}`);
  }

  score(criterion, side, value) {
    const scores = this.draft().scores;
    scores[side] = { ...scores[side], [criterion]: value };
    if (!value) delete scores[side][criterion];
    this.keep();
  }

  scoreKey(event) {
    const value = Number(event.key);
    if (event.key === "Escape") { this.cell = null; this.say(""); this.paintExtras(); }
    else if (value >= 1 && value <= 5) { this.score(this.cell.criterion, this.cell.side, value); this.rubricAt(1); }
    else if (event.key === "Backspace") { this.score(this.cell.criterion, this.cell.side, 0); this.paintExtras(); }
    else if (event.key === "ArrowRight" || event.key === "ArrowDown") this.rubricAt(event.key === "ArrowDown" ? 2 : 1);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") { const step = event.key === "ArrowUp" ? -2 : -1; this.rubricAt(step); }
    else return false;
    return true;
  }

  unscored() {
    const scores = this.draft().scores;
    return this.cells().some(({ criterion, side }) => !scores[side]?.[criterion]);
  }
}
