// Marks on the text of a record: set on what is selected, or on words that the arrows move over. They count characters as Python does.

class LabelMarks extends LabelView {
  addSpan(value) {
    const place = this.selected() || this.cursorPlace();
    if (!place) return this.say("Select some text first: with the mouse, or with ← → and Shift.");
    const text = this.card.messages[place.turn].content, draft = this.draft();
    const span = { turn: place.turn, start: points(text, place.start), end: points(text, place.end), value };
    const others = (draft[this.field.key] || []).filter((one) => JSON.stringify(one) !== JSON.stringify(span));
    draft[this.field.key] = [...others, span].sort((a, b) => a.turn - b.turn || a.start - b.start);
    this.keep();
    document.getSelection()?.removeAllRanges();
    this.paint();
  }

  selected() {
    const found = selectedIn(this.root, this.body);
    return found && { ...found, turn: Number(found.turn) };
  }

  cursorPlace() {
    if (!this.cursor) return null;
    const words = wordsOf(this.card.messages[this.cursor.turn].content);
    const [low, high] = [Math.min(this.cursor.from, this.cursor.to), Math.max(this.cursor.from, this.cursor.to)];
    return words.length ? { turn: this.cursor.turn, start: words[low].start, end: words[high].end } : null;
  }

  moveCursor(key, extend) {
    const last = this.card.messages.length - 1;
    if (!this.cursor) this.cursor = { turn: Math.max(0, this.card.messages.findIndex((turn) => turn.role === "user")), from: 0, to: 0 };
    else if (key === "ArrowUp" || key === "ArrowDown") {
      this.cursor = { turn: Math.min(last, Math.max(0, this.cursor.turn + (key === "ArrowDown" ? 1 : -1))), from: 0, to: 0 };
    } else {
      const count = wordsOf(this.card.messages[this.cursor.turn].content).length;
      const to = Math.min(count - 1, Math.max(0, this.cursor.to + (key === "ArrowRight" ? 1 : -1)));
      this.cursor = { turn: this.cursor.turn, from: extend ? this.cursor.from : to, to };
    }
    this.paintBody();
    this.body.querySelector(".cursor")?.scrollIntoView({ block: "nearest" });
    const place = this.cursorPlace();
    if (place) this.tell(this.card.messages[place.turn].content.slice(place.start, place.end));
  }
}
