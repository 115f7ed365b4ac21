// The desk: a queue of cards under the keys. A press paints the next card at once and goes to the outbox (outbox.js, which
// stands before this); Python stores it and acknowledges it by its id. Text from data only enters through textContent.

const LOW = 10; // fewer cards than this ahead: ask for more

const ACTIONS = [
  { do: "keep", key: "k", label: "Keep", help: "Keep this record" },
  { do: "drop", key: "d", label: "Drop", help: "Drop this record: it stays here but is never frozen" },
  { do: "skip", key: "s", label: "Skip", help: "Go on without deciding", also: ["ArrowRight"] },
  { do: "back", key: "b", label: "Back", help: "Go back one card", also: ["ArrowLeft"] },
  { do: "edit", key: "e", label: "Edit", help: "Edit the wording (Ctrl+Enter saves, Esc leaves it)" },
  { do: "undo", key: "u", label: "Undo", help: "Take back your newest act" },
];
const DECIDES = ["keep", "drop"];
const WORDS = { keep: "Kept", drop: "Dropped", undecided: "Undecided" };
const ROLES = { system: "System prompt", user: "Customer", assistant: "Agent" };

class Desk {
  constructor(root, data) {
    this.root = root;
    this.cards = [];
    this.seen = new Set();
    this.at = 0;
    this.drafts = null; // texts being edited, by turn
    this.outbox = new Outbox(data.store, () => this.paintSaved());
    this.asked = "";
    this.said = "";
    this.build();
    this.deaf = hearKeys(this);
  }

  // --- what Python says ---------------------------------------------------------------------------------------------
  hear(data, set) {
    this.set = set;
    this.numbers = data.numbers;
    this.more = data.more;
    if (this.session === undefined && data.asked !== "") this.again(); // drawn anew where Python still holds an old place
    this.session = data.session;
    this.outbox.hear(data.session, data.acked, set);
    for (const card of data.fresh) this.renew(card);
    if (data.reply !== this.reply) {
      this.reply = data.reply;
      if (data.said) this.said = data.said;
      if (data.front) this.front(data.front);
    }
    if (data.asked === this.asked) this.append(data.cards);
    this.paint();
    this.outbox.flush();
    this.want();
  }

  append(cards) {
    for (const card of cards) {
      if (this.seen.has(card.id)) continue;
      this.seen.add(card.id);
      // After a reload Python may not have heard yet what was decided on this card: it must not be asked for twice.
      const decided = this.outbox.presses.some((press) => press.card === card.id && DECIDES.includes(press.do));
      if (!decided) this.cards.push(card);
    }
  }

  renew(card) {
    const place = this.cards.findIndex((one) => one.id === card.id);
    if (place >= 0) this.cards[place] = card;
    else { this.seen.add(card.id); this.cards.splice(this.at, 0, card); }
  }

  front(id) {
    const place = this.cards.findIndex((one) => one.id === id);
    if (place >= 0) this.at = place;
  }

  want() {
    const last = this.cards.length ? this.cards[this.cards.length - 1].id : "";
    if (this.more && this.cards.length - this.at < LOW && this.asked !== last) {
      this.asked = last;
      this.set("want", last);
    }
  }

  // --- acts ---------------------------------------------------------------------------------------------------------
  get card() { return this.cards[this.at]; }

  act(verb) {
    const card = this.card;
    if (verb === "help") return this.toggleHelp();
    if (verb === "undo") { this.said = "Taking back…"; this.outbox.add("undo", {}); return this.paint(); }
    if (verb === "again") return this.again();
    if (verb === "back") { this.at = Math.max(0, this.at - 1); return this.show(); }
    if (!card) return;
    if (verb === "edit") return this.edit();
    if (DECIDES.includes(verb)) this.decide(card, verb);
    this.at += 1;
    this.show();
    this.want();
  }

  decide(card, verb) {
    const was = card.decision;
    card.decision = verb;
    this.said = "";
    this.outbox.add(verb, { card: card.id, was });
  }

  again() {
    this.cards = [];
    this.seen.clear();
    this.at = 0;
    this.asked = "";
    this.set("want", { again: newId() }); // a value of its own, so that Python hears it every time
  }

  edit() {
    this.drafts = this.card.messages.map((turn) => turn.content);
    this.paint();
    const fields = this.body.querySelectorAll("textarea");
    if (fields.length) fields[fields.length - 1].focus();
  }

  saveEdit() {
    const card = this.card;
    const messages = card.messages.map((turn, place) => ({ role: turn.role, content: this.drafts[place] }));
    this.drafts = null;
    if (messages.some((turn, place) => turn.content !== card.messages[place].content)) {
      card.messages = messages;
      this.outbox.add("edit", { card: card.id, messages });
    }
    this.show();
  }

  leaveEdit() { this.drafts = null; this.show(); }

  show() {
    this.paint();
    this.frame.focus({ preventScroll: true }); // the keys stay here, and a screen reader reads the new card
  }

  key(event) {
    const target = event.composedPath()[0];
    const typing = target && (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable);
    if (this.drafts && event.key === "Escape") { event.preventDefault(); return this.leaveEdit(); }
    if (this.drafts && event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); return this.saveEdit(); }
    if (typing || this.drafts || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
    // Buttons and tabs of the page take their own Space, Enter and arrows; letters and digits are the desk's.
    const inside = event.composedPath().includes(this.frame) || target === document.body;
    if (event.key === "?") { event.preventDefault(); return this.toggleHelp(); }
    const action = ACTIONS.find((one) => one.key === event.key.toLowerCase() || (inside && one.also?.includes(event.key)));
    if (action) { event.preventDefault(); this.act(action.do); }
  }

  // --- painting -----------------------------------------------------------------------------------------------------
  build() {
    this.frame = make("section", "desk");
    this.frame.tabIndex = -1;
    this.frame.setAttribute("aria-label", "Record to decide on");
    this.top = make("div", "top");
    this.progress = make("span", "progress");
    this.progress.dataset.testid = "desk-progress";
    this.progress.setAttribute("aria-live", "polite");
    this.saved = make("span", "saved");
    this.saved.dataset.testid = "desk-saved";
    this.saved.setAttribute("role", "status");
    this.top.append(this.progress, this.saved);
    this.words = make("p", "words");
    this.words.setAttribute("role", "alert");
    this.words.dataset.testid = "desk-words";
    this.body = make("div", "body");
    this.body.dataset.testid = "desk-card";
    this.bar = make("div", "bar");
    this.bar.setAttribute("role", "toolbar");
    for (const action of [...ACTIONS, { do: "help", key: "?", label: "Keys", help: "Show all keys" }]) this.bar.append(this.button(action));
    this.help = make("div", "help");
    this.help.hidden = true;
    this.help.append(...this.helpLines());
    this.frame.append(this.top, this.words, this.body, this.bar, this.help);
    this.root.append(this.frame);
  }

  button(action) {
    const found = make("button", `act act-${action.do}`);
    found.type = "button";
    found.title = action.help;
    found.dataset.testid = `desk-${action.do.replace("_", "-")}`;
    found.append(make("kbd", "", action.key.toUpperCase()), make("span", "", action.label));
    found.addEventListener("click", () => this.act(action.do));
    return found;
  }

  helpLines() {
    return [...ACTIONS, { key: "?", help: "Show or hide this" }].map((action) => {
      const line = make("div", "line");
      const also = (action.also || []).map((key) => key.replace("ArrowLeft", "←").replace("ArrowRight", "→"));
      line.append(make("kbd", "", [action.key.toUpperCase(), ...also].join(" or ")), make("span", "", action.help));
      return line;
    });
  }

  toggleHelp() { this.help.hidden = !this.help.hidden; }

  paint() {
    this.progress.textContent = this.progressWords();
    this.words.textContent = this.said;
    this.words.hidden = !this.said;
    this.paintSaved();
    this.body.replaceChildren(...(this.card ? this.recordParts(this.card) : this.endParts()));
    for (const button of this.bar.children) {
      const verb = button.dataset.testid.slice(5).replace("-", "_");
      button.disabled = !!this.drafts || (!this.card && !["undo", "back", "help"].includes(verb));
    }
  }

  paintSaved() { this.outbox.paint(this.saved); }

  progressWords() {
    const count = { ...this.numbers };
    for (const press of this.outbox.presses) if (DECIDES.includes(press.do)) { count[press.was] -= 1; count[press.do] += 1; }
    return `${count.keep.toLocaleString("en")} kept · ${count.drop.toLocaleString("en")} dropped · ${count.undecided.toLocaleString("en")} undecided`;
  }

  endParts() {
    const box = make("div", "end");
    if (!this.cards.length && this.more) return [make("div", "end", "Loading…")];
    box.append(make("strong", "", this.cards.length ? "End of the list" : "No record matches this filter"));
    box.append(make("p", "", this.cards.length ? "Everything that matches the filter was shown." : "Choose another filter above."));
    if (this.cards.length) box.append(this.button({ do: "again", key: "↺", label: "From the top", help: "Start again from the top" }));
    return [box];
  }

  recordParts(card) {
    const facts = make("div", "facts");
    facts.append(make("span", `mark ${card.decision}`, WORDS[card.decision]));
    for (const fact of card.facts) facts.append(make("span", "", fact));
    return [facts, ...card.messages.map((turn, place) => this.turn(turn, place)), ...(this.drafts ? [this.editBar()] : [])];
  }

  turn(turn, place) {
    const box = make("div", `turn ${turn.role}`);
    box.append(make("div", "who", ROLES[turn.role]));
    if (this.drafts) {
      const field = make("textarea");
      field.value = this.drafts[place];
      field.rows = Math.min(16, Math.max(2, Math.ceil(field.value.length / 70) + field.value.split("\n").length - 1));
      field.setAttribute("aria-label", `${ROLES[turn.role]}, turn ${place + 1}`);
      field.dataset.testid = `desk-field-${place}`;
      field.addEventListener("input", () => { this.drafts[place] = field.value; });
      box.append(field);
    } else box.append(make("div", "said", turn.content));
    return box;
  }

  editBar() {
    const bar = make("div", "editbar");
    const save = make("button", "act primary", "Save wording (Ctrl+Enter)");
    const leave = make("button", "act", "Leave it as it was (Esc)");
    save.type = leave.type = "button";
    save.dataset.testid = "desk-save-edit";
    save.addEventListener("click", () => this.saveEdit());
    leave.addEventListener("click", () => this.leaveEdit());
    bar.append(save, leave);
    return bar;
  }

  leave() {
    this.deaf();
    this.outbox.leave();
    this.frame.remove();
  }
}

export default mounting(Desk);
