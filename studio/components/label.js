// The label desk: a queue of records under the keys, answered by the fields of a label set. The other files of the label desk
// stand before this. A press paints the next record in the same frame; Python hears of it behind the reader's back.

const LOW = 25; // fewer records than this ahead: ask for more; so many can be read while the line is cut
const HELD = 240000; // ms after which the records held here are asked for again, long before they go to somebody else
const NARROW = 760; // px, as in label.css
const ANSWERED = ["answer", "skip", "drop", "settle"]; // what takes a record off my queue

// A card as it is now: what is replaced later may be shared, what is changed in place may not.
function copyOf(card) {
  return { ...card, marks: { ...card.marks, tags: [...card.marks.tags] }, draft: card.draft && structuredClone(card.draft) };
}

// Records are held for this tab, and stay its own when it is loaded again.
function tabName() {
  try {
    if (!sessionStorage.getItem("tunewright:tab")) sessionStorage.setItem("tunewright:tab", newId());
    return sessionStorage.getItem("tunewright:tab");
  } catch { return (tabName.fallback ||= newId()); }
}

class LabelDesk extends LabelMarks {
  constructor(root, data) {
    super();
    this.root = root;
    this.fieldAt = 0;
    this.mode = data.mode;
    this.def = data.set;
    this.verbs = data.verbs;
    this.cards = [];
    this.seen = new Set();
    this.at = 0;
    this.since = 0; // my answers since they were counted
    this.undoing = {}; // records that were shown for an undo when its key went down, by press
    this.acts = []; // what I did here, newest last, with the card as it was before: undo shows it at once
    this.outbox = new Outbox(data.store, () => this.outbox.paint(this.saved));
    this.wants = "";
    this.more = true;
    this.last = ""; // the newest record that came, shown or not
    this.said = "";
    this.drafts = null; // texts being edited, by turn
    this.kept = new Drafts(data.store, data.mode, data.set.fields);
    this.whole = new Set();
    this.keyMap = { ...data.keys };
    this.build();
    this.deaf = hearKeys(this);
    this.timer = setInterval(() => this.patience(), 1000);
  }

  get card() { return this.cards[this.at]; }
  get field() { return this.def.fields[this.fieldAt]; }
  get settling() { return this.mode === "settle" && !this.other; }
  get single() { return this.def.fields.length === 1 && ["choice", "scale"].includes(this.def.fields[0].kind); }

  // --- what Python says ---------------------------------------------------------------------------------------------
  hear(data, set) {
    this.set = set;
    this.numbers = data.numbers;
    if (this.session !== undefined && this.session !== data.session) this.renewed = 0; // it was restarted and knows nothing of what I hold
    this.session = data.session;
    this.agreed = data.agreed;
    this.outbox.hear(data.session, data.acked, set);
    if (this.stamp !== data.stamp) { // counted anew: what is not stored yet comes on top
      this.stamp = data.stamp;
      this.since = this.outbox.presses.filter((press) => press.set === this.def.id && ["answer", "settle"].includes(press.do)).length;
    }
    if (isNews(data.session, data.reply)) for (const told of data.told) this.told(told);
    if (this.asking && data.answered === this.wants) {
      this.asking = null;
      // A queue that is read again begins anew at its end: nothing new means that everything was shown.
      this.more = data.more && data.cards.some((card) => !this.seen.has(card.id));
      this.last = data.cards.at(-1)?.id || this.last;
      const lost = new Set(data.lost); // while the studio was away somebody else got them
      this.cards = this.cards.filter((card, place) => place <= this.at || !lost.has(card.id));
      this.append(data.cards);
    }
    if (data.looked && data.looked.n === this.looks) { this.looked = data.looked; this.paintSide(); }
    this.top();
    if (this.shownCard !== this.card) {
      const first = !this.shownCard;
      this.show(false, first && !!this.said);
      if (first) this.toTop();
    } else if (!this.card) this.paint();
    this.outbox.flush();
    this.want();
  }

  told({ press, kind, words, card, front }) {
    if (kind === "keys") { this.keyMap = { ...words.keys }; this.build(); this.say(words.sentence); return this.show(false, true); }
    const mine = this.undoing[press];
    if (kind === "refused") this.acts = this.acts.filter((act) => act.press !== press);
    if (kind === "undone" && mine !== undefined && (!front || mine === front)) return; // it was shown when the key went down
    this.say(words);
    if (!card || this.outbox.presses.some((other) => other.card === card.id)) return;
    const place = this.cards.findIndex((one) => one.id === card.id);
    if (place >= 0) this.cards[place] = card;
    else { this.seen.add(card.id); this.cards.splice(this.at, 0, card); }
    if (front) this.at = this.cards.findIndex((one) => one.id === card.id);
    this.show(false, true);
  }

  append(cards) {
    const waiting = new Set(this.outbox.presses.filter((press) => press.set === this.def.id && ANSWERED.includes(press.do))
      .map((press) => press.card));
    for (const card of cards) {
      if (this.seen.has(card.id)) continue;
      this.seen.add(card.id);
      if (!waiting.has(card.id)) this.cards.push(card); // after a reload Python may not have heard of it yet
    }
  }

  want() {
    if (!this.set || !this.more || this.asking || this.cards.length - this.at >= LOW) return;
    this.ask();
  }

  ask(again = false) {
    this.asking = this.renewed = performance.now();
    const held = this.cards.slice(this.at).map((card) => card.id);
    this.set("want", { held, n: (this.wants = newId()), tab: tabName(), after: again ? "" : this.last });
  }

  again() {
    this.cards = [];
    this.seen.clear();
    this.at = 0;
    this.more = true;
    this.ask(true);
    this.show();
  }

  patience() {
    if (this.covered() && this.root.activeElement !== this.frame && !document.querySelector('[role="dialog"]')) this.hold();
    if (this.asking && performance.now() - this.asking > PATIENCE) this.ask();
    if (!this.asking && this.set && performance.now() - this.renewed > HELD) this.ask(); // what I hold here stays mine
  }

  // --- acts ---------------------------------------------------------------------------------------------------------
  press(verb, extra = {}) {
    const card = this.card;
    const act = { id: card.id, before: copyOf(card), counted: ["answer", "settle"].includes(verb) && !card.mine };
    if (act.counted) this.since += 1;
    if (this.single) delete act.before.draft;
    act.press = this.outbox.add(verb, { card: card.id, set: this.def.id, ...extra }).id;
    this.acts.push(act);
    this.outbox.paint(this.saved);
  }

  act(verb) {
    const card = this.card;
    if (verb === "help" || verb === "guide" || verb === "history") return this.toggleSide(verb);
    if (verb === "undo") return this.undo();
    if (verb === "back") { this.at = Math.max(0, this.at - 1); return this.show(); }
    if (!card || this.drafts) return;
    const takes = ["skip", "drop", "submit", "accept"].includes(verb);
    if (takes && this.painted !== card.id) return this.say("That press came before this record was drawn: it was not used.");
    if (verb === "edit") return this.edit();
    if (verb === "tag" || verb === "comment") return this.openEntry(verb);
    if (verb === "rate") { this.rating = true; return this.say("Press 1 to 5 to rate this record, another key to leave it."); }
    if (verb === "search") return this.type();
    if (verb === "next_field") return this.goField((this.fieldAt + 1) % this.def.fields.length);
    if (verb === "clear") return this.clear();
    if (verb === "flag") { this.press("flag", { standing: !card.marks.flag }); card.marks.flag = !card.marks.flag; return this.paint(); }
    if (verb === "keep") { this.press("keep"); card.decision = "keep"; return this.paint(); }
    if (verb === "accept") return this.accept();
    if (verb === "submit") return this.submit();
    if (verb === "skip" && (card.mine || this.mode === "settle")) return this.next("Passed over."); // what I answered stays answered
    this.press(verb, verb === "skip" ? { seconds: this.seconds() } : {});
    this.kept.drop(this.def.id, card.id);
    if (verb === "drop") card.decision = "drop"; else card.state = "skipped";
    this.next(verb === "drop" ? "Dropped." : "Skipped.");
  }

  seconds() { return Math.min(3600, Math.round((performance.now() - this.shownAt) / 100) / 10); }

  undo() {
    const last = this.acts.pop();
    const press = this.outbox.add("undo", { set: this.def.id });
    this.outbox.paint(this.saved);
    if (last?.counted) this.since -= 1;
    const place = last ? this.cards.findIndex((card) => card.id === last.id) : -1;
    if (place < 0) { this.say("Taking back what you did before…"); return; }
    this.undoing[press.id] = last.id;
    this.cards[place] = last.before;
    this.at = place;
    this.say("Taken back; here it is again.");
    this.show(true, true);
    this.keep();
  }

  rate(value) {
    this.rating = false;
    this.press("rating", { value: String(value) });
    this.card.marks.rating = value;
    this.say("");
    this.paint();
  }

  draft() {
    const card = this.card;
    return card.draft ||= (!this.single && this.kept.of(this.def.id, card)?.answer) || structuredClone(standing(card));
  }

  // Every change of what is not sent yet, except where one press answers.
  keep() { if (this.card) this.kept.keep(this.def.id, this.card, this.drafts); }

  choose(value) {
    const field = this.field, draft = this.draft();
    if (this.painted !== this.card.id) return this.say("That press came before this record was drawn: it was not used.");
    this.say("");
    if (field.kind === "spans") return this.addSpan(value);
    if (field.kind === "multi") {
      const had = draft[field.key] || [];
      const chosen = had.includes(value) ? had.filter((one) => one !== value) : [...had, value];
      draft[field.key] = field.options.map((option) => option.value).filter((one) => chosen.includes(one));
      this.keep();
      return this.paintFields();
    }
    draft[field.key] = value;
    if (this.single) return this.submit();
    this.keep();
    const later = this.def.fields.findIndex((one, place) => place > this.fieldAt && this.empty(one));
    this.goField(later < 0 ? this.fieldAt : later);
  }

  empty(field) {
    const value = this.draft()[field.key];
    return value === undefined || value === null || value === "" || (Array.isArray(value) && !value.length);
  }

  clear() {
    const draft = this.draft(), had = draft[this.field.key];
    if (this.field.kind === "spans" && had?.length > 1) draft[this.field.key] = had.slice(0, -1);
    else delete draft[this.field.key];
    this.keep();
    this.paint();
  }

  accept() {
    if (!this.card.suggested) return this.say("There is no suggestion for this record.");
    for (const [key, one] of Object.entries(this.card.suggested)) this.draft()[key] = one.value;
    this.submit();
  }

  submit() {
    if (this.settling) return this.say("Press the number of the answer that is right, or o for another one.");
    const missing = this.def.fields.findIndex((field) => field.required && this.empty(field));
    if (missing >= 0) {
      this.goField(missing);
      return this.say(`${this.field.title} needs an answer first; s skips the record.`.replace("s skips", `${this.keyMap.skip} skips`));
    }
    const card = this.card, draft = this.draft();
    const answer = Object.fromEntries(this.def.fields.filter((field) => !this.empty(field)).map((field) => [field.key, draft[field.key]]));
    if (!Object.keys(answer).length) return this.say("Nothing is answered yet; skip the record if nothing fits.");
    this.store(answer);
  }

  store(answer) {
    const card = this.card;
    this.press(this.mode === "settle" ? "settle" : "answer", { answer, seconds: this.seconds(), suggested: card.suggested ? Object.fromEntries(Object.entries(card.suggested).map(([key, one]) => [key, one.value])) : null, version: card.version, set_version: this.def.version });
    card.mine = answer;
    card.state = "answered";
    delete card.draft;
    this.kept.drop(this.def.id, card.id);
    this.next(answerWords(answer, this.def.fields, card));
  }

  next(heard) {
    this.at += 1;
    this.show(true, false, heard);
    soon(() => this.want());
  }

  // --- editing, entries, sides --------------------------------------------------------------------------------------
  edit() {
    this.drafts = this.card.messages.map((turn) => turn.content);
    this.paint();
    const fields = this.body.querySelectorAll("textarea");
    fields[fields.length - 1]?.focus();
  }

  saveEdit() {
    const card = this.card;
    const messages = card.messages.map((turn, place) => ({ role: turn.role, content: this.drafts[place] }));
    this.drafts = null;
    this.keep();
    if (messages.some((turn, place) => turn.content !== card.messages[place].content)) {
      this.press("edit", { messages });
      card.messages = messages;
      this.say(Object.values(card.draft || {}).some((value) => value[0]?.turn !== undefined) ? "Look at the marks again: the text under them changed." : "");
    }
    this.paint();
    this.hold();
  }

  openEntry(kind) {
    this.entryKind = kind;
    this.entry.hidden = false;
    this.entryField.value = "";
    this.entryField.setAttribute("aria-label", kind === "tag" ? "Tag" : "Comment");
    this.entryField.placeholder = kind === "tag" ? "Tag, then Enter (Esc: back to the keys)" : "Comment, then Enter (Esc: back to the keys)";
    this.entryField.focus();
  }

  closeEntry(keep) {
    const value = this.entryField.value.trim(), card = this.card;
    this.entry.hidden = true;
    if (keep && value && card) {
      this.press(this.entryKind, { value, standing: true });
      if (this.entryKind === "tag") card.marks.tags = [...new Set([...card.marks.tags, value])];
      else this.say("Comment kept; h shows it.".replace("h shows", `${this.keyMap.history} shows`));
      this.paint();
    }
    this.hold();
  }

  dropTag(tag) {
    this.press("tag", { value: tag, standing: false });
    this.card.marks.tags = this.card.marks.tags.filter((one) => one !== tag);
    this.paint();
    this.hold();
  }

  toggleSide(which) {
    this.side = this.side === which ? "" : which;
    this.looked = null;
    if (this.side === "history" && this.card) this.set("look", { n: (this.looks = newId()), card: this.card.id });
    this.paintSide();
  }

  hold() { this.frame.focus({ preventScroll: true }); }
  say(words) { this.said = words; this.words.textContent = words; this.words.hidden = !words; }
  tell(words) { this.live.textContent = words; }

  show(focus = true, keepWords = false, heard = "") {
    const card = this.card, begun = card && this.kept.of(this.def.id, card);
    this.shownCard = card;
    this.shownAt = performance.now();
    this.rating = this.other = false;
    this.cursor = null;
    this.drafts = begun?.texts || null;
    this.fieldAt = 0;
    if (!keepWords) this.say(this.begunWords(card, begun));
    this.entry.hidden = true;
    if (this.search.value) { this.search.value = ""; this.filter(); }
    if (this.side === "history") this.side = "";
    this.paint();
    this.paintSide();
    this.tell(card ? `${heard} Next record: ${card.messages.find((turn) => turn.role === "user")?.content.slice(0, 160) || ""}` : `${heard} No record is left here.`);
    if (focus) {
      this.hold();
      this.toTop();
    }
    this.shownAgain();
  }

  // A record is read from its top, wherever the last one ended; where it is narrow, the page's head would leave no room for it.
  toTop() {
    if (this.frame.getBoundingClientRect().top < 0 || this.frame.clientWidth < NARROW) this.frame.scrollIntoView({ block: "start" });
  }

  begunWords(card, begun) {
    if (begun?.texts) return "The wording you had begun is back: Ctrl+Enter saves it, Esc leaves the record as it was.";
    return begun?.answer && !card.draft && !this.single ? "What you had begun on this record is back; it is not sent yet." : "";
  }

  // A record counts as seen once a frame with it was drawn; until then no press answers it.
  shownAgain() {
    const card = this.card;
    this.painted = "";
    delete this.body.dataset.seen;
    if (card) requestAnimationFrame(() => setTimeout(() => { if (this.card === card) this.body.dataset.seen = this.painted = card.id; }));
  }

  leave() {
    this.deaf();
    clearInterval(this.timer);
    this.outbox.leave();
    this.frame.remove();
  }
}

export default mounting(LabelDesk);
