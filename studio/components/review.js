// The review desk: two answers side by side under the keys, blind. A press paints the next pair in the same frame; Python hears of it
// behind the reader's back. The files named in review.py stand before this.

const LOW = 10; // fewer pairs than this ahead: ask for more
const NARROW = 620; // px, as in review.css: there the page's head would leave no room for the pair

class ReviewDesk extends ReviewMarks {
  constructor(root, data) {
    super();
    this.root = root;
    this.def = { rubric: data.rubric, faults: data.faults };
    this.cards = [];
    this.seen = new Set();
    this.at = 0;
    this.since = 0; // my verdicts since they were counted
    this.acts = []; // what I did here, newest last, with the card as it was before: undo shows it at once
    this.undoing = {};
    this.outbox = new Outbox(data.store, () => this.outbox.paint(this.saved));
    this.drafts = new Drafts(data.store);
    this.more = true;
    this.last = ""; // the newest card that came, shown or not
    this.wants = "";
    this.build();
    this.deaf = hearKeys(this);
    this.timer = setInterval(() => this.patience(), 1000);
  }

  get card() { return this.cards[this.at]; }

  // --- what Python says ---------------------------------------------------------------------------------------------
  hear(data, set) {
    this.set = set;
    if (this.numbers && data.numbers.cards > this.numbers.cards) this.more = true; // more pairs were asked for below
    this.numbers = data.numbers;
    this.outbox.hear(data.session, data.acked, set);
    if (this.stamp !== data.stamp) { // counted anew: what is not stored yet comes on top
      this.stamp = data.stamp;
      this.since = this.outbox.presses.reduce((sum, press) => sum + (press.do === "judge" && !press.again ? 1 : press.took ? -1 : 0), 0);
    }
    if (isNews(data.session, data.reply)) for (const told of data.told) this.told(told);
    if (this.asking && data.answered === this.wants) {
      this.asking = null;
      this.more = data.more && data.cards.some((card) => !this.seen.has(card.id));
      this.last = data.cards.at(-1)?.id || this.last;
      if (!this.cards.length) { this.append(data.past); this.at = this.cards.length; }
      this.append(data.cards);
    }
    if (data.looked && data.looked.n === this.looks) {
      this.looks = "";
      this.apart = data.looked;
      if (!data.looked.left) this.say("These answers are too long, or repeat themselves too much, to be compared word by word.");
      else if (!data.looked.left.length && !data.looked.right.length) this.say("They differ in capitals or blanks only.");
      this.paint();
    }
    this.top();
    if (this.shownCard !== this.card) this.show(false, !this.shownCard && !!this.words.textContent);
    else if (!this.card) this.paint();
    this.outbox.flush();
    this.want();
  }

  told({ press, kind, words, card, front }) {
    const mine = this.undoing[press];
    if (kind === "refused") this.acts = this.acts.filter((act) => act.press !== press);
    if (kind === "undone" && mine !== undefined && mine === front) return; // it was shown when the key went down
    if (kind === "undone" && card?.mine) return; // it was judged again since
    this.say(words);
    if (!card || this.outbox.presses.some((other) => other.card === card.id)) return;
    const place = this.cards.findIndex((one) => one.id === card.id);
    if (place < 0) { this.seen.add(card.id); this.cards.splice(this.at, 0, card); }
    else { this.begin(card, this.cards[place].mine); this.cards[place] = card; }
    this.at = this.cards.findIndex((one) => one.id === card.id);
    this.show(false, true);
  }

  append(cards) {
    const waiting = new Set(this.outbox.presses.filter((press) => press.do === "judge").map((press) => press.card));
    for (const card of cards) {
      if (this.seen.has(card.id)) continue;
      this.seen.add(card.id);
      if (card.mine || !waiting.has(card.id)) this.cards.push(card); // after a reload Python may not have heard of it yet
    }
  }

  want() {
    if (this.set && this.more && !this.asking && this.cards.length - this.at < LOW) this.ask();
  }

  ask() {
    this.asking = performance.now();
    this.set("want", { n: (this.wants = newId()), after: this.last });
  }

  again() {
    this.cards = [];
    this.seen.clear();
    this.at = 0;
    this.last = "";
    this.more = true;
    this.ask();
    this.show();
  }

  patience() {
    if (coveredPage(() => this.shownAgain()) && this.root.activeElement !== this.frame && !document.querySelector('[role="dialog"]')) this.hold();
    if (this.asking && performance.now() - this.asking > PATIENCE) this.ask();
    if (this.looks && performance.now() - this.looking > PATIENCE) this.askApart();
  }

  // --- acts ---------------------------------------------------------------------------------------------------------
  draft() {
    const card = this.card, said = card.mine;
    return card.draft ||= this.drafts.of(card.id) || begunFrom(said);
  }

  keep() { this.drafts.keep(this.card.id, this.card.draft); }

  // What was said of a pair that waits again is begun anew: nobody should have to write a note twice.
  begin(card, said) {
    const draft = begunFrom(said);
    if (!draft.note && !draft.better && !draft.faults.length && !Object.values(draft.scores).some((given) => Object.keys(given).length)) return;
    card.draft = draft;
    this.drafts.keep(card.id, draft);
  }

  act(verb) {
    if (verb === "help") { this.help.hidden = !this.help.hidden; return; }
    if (verb === "undo") return this.undo();
    if (verb === "back") { if (this.at > 0) { this.at -= 1; this.show(); } else this.say("There is nothing before this one."); return; }
    if (!this.card) return;
    if (VERDICTS.some((one) => one.do === verb)) return this.judge(verb);
    if (verb === "skip") { this.at += 1; this.show(); soon(() => this.want()); return; }
    if (verb === "mark") return this.mark();
    if (verb === "rubric") { this.cell = null; return this.rubricAt(1); }
    if (verb === "note") { this.noting = true; this.paintExtras(); return this.noteField.focus(); }
    if (verb === "better") { this.writing = true; this.paintExtras(); return this.betterField.focus(); }
    if (verb === "reference") this.referred = !this.referred;
    if (verb === "conversation") this.whole = !this.whole;
    if (verb === "differences") this.compare();
    this.paint();
  }

  compare() {
    this.differing = !this.differing;
    if (this.differing && this.apart === null) this.askApart();
  }

  askApart() {
    this.looking = performance.now();
    this.set("look", { n: (this.looks = newId()), card: this.card.id });
  }

  judge(verdict) {
    const card = this.card;
    if (this.painted !== card.id) return this.say("That press came before this pair was drawn: it was not used.");
    if (this.def.rubric.length && this.unscored() && this.asked !== card.id) {
      this.asked = card.id;
      return this.say("Some scores are missing: q gives them. The same key once more goes on without.");
    }
    const draft = this.draft(), before = { ...card, draft: undefined };
    const seconds = Math.min(3600, Math.round((performance.now() - this.shownAt) / 100) / 10);
    const press = this.outbox.add("judge", { card: card.id, verdict, again: !!card.mine, seconds, ...structuredClone(draft) });
    if (!card.mine) this.since += 1;
    card.mine = { verdict, ...structuredClone(draft) };
    this.acts.push({ id: card.id, press: press.id, before, said: card.mine });
    delete card.draft;
    this.drafts.drop(card.id);
    this.outbox.paint(this.saved);
    this.at += 1;
    this.show(true, false, `${SAID[verdict]}.`);
    soon(() => this.want());
  }

  undo() {
    const last = this.acts.pop(), place = last ? this.cards.findIndex((card) => card.id === last.id) : -1;
    const press = this.outbox.add("undo", { took: place >= 0 });
    this.outbox.paint(this.saved);
    if (place < 0) return this.say("Taking back what you did before…");
    this.since -= 1; // a verdict that replaced one takes that along: the pair waits again
    this.undoing[press.id] = last.id;
    this.begin(this.cards[place] = { ...last.before, mine: null }, last.said);
    this.at = place;
    this.say("Taken back; here it is again.");
    this.show(true, true);
  }

  // --- keys ---------------------------------------------------------------------------------------------------------
  key(event) {
    const target = event.composedPath()[0];
    const typing = target && (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable);
    if (coveredPage(() => this.shownAgain())) return;
    if (typing) return this.typed(event, target);
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
    const inside = event.composedPath().includes(this.frame) || target === document.body;
    if (this.marking && inside) { if (this.markKey(event)) event.preventDefault(); return; }
    if (this.cell && inside && this.scoreKey(event)) return event.preventDefault();
    const found = [...VERDICTS, ...TOOLS].find((one) => one.key === event.key.toLowerCase() || (inside && one.also === event.key));
    if (!found || (found.do === "rubric" && !this.def.rubric.length)) return;
    event.preventDefault();
    this.act(found.do);
  }

  typed(event, target) {
    if (!event.composedPath().includes(this.frame)) return;
    const taken = event.key === "Enter" && (event.ctrlKey || event.metaKey || target === this.faultNote);
    if (event.key !== "Escape" && !taken) return;
    event.preventDefault();
    if (target === this.faultNote) { if (!taken) this.noteFault(""); return this.closeNote(); }
    this.noting = this.writing = false;
    this.hold();
    this.paintExtras();
  }

  // --- showing ------------------------------------------------------------------------------------------------------
  hold() { this.frame.focus({ preventScroll: true }); }
  say(words) { this.words.textContent = words; this.words.hidden = !words; }
  tell(words) { this.live.textContent = words; }

  show(focus = true, keepWords = false, heard = "") {
    const card = this.card;
    this.shownCard = card;
    this.shownAt = performance.now();
    this.marking = this.cell = this.noteOn = null;
    this.looks = "";
    this.noting = this.writing = this.referred = this.whole = this.differing = false;
    this.apart = null;
    this.asked = "";
    this.faultNote.hidden = true;
    if (!keepWords) this.say(card && !card.mine && this.drafts.of(card.id) ? "What you had begun on this pair is back; it is not sent yet." : "");
    this.paint();
    this.tell(card ? `${heard} Next pair: ${card.question.at(-1)?.content.slice(0, 160) || ""}` : `${heard} No pair is left here.`);
    if (focus) {
      this.hold();
      if (this.frame.getBoundingClientRect().top < 0 || this.frame.clientWidth < NARROW) this.frame.scrollIntoView({ block: "start" });
    }
    this.shownAgain();
  }

  // A pair counts as seen once a frame with it was drawn; until then no press judges it.
  shownAgain() {
    const card = this.card;
    this.painted = "";
    delete this.body.dataset.seen;
    if (card) requestAnimationFrame(() => setTimeout(() => { if (this.card === card) this.seenNow(card); }));
  }

  seenNow(card) {
    this.body.dataset.seen = this.painted = card.id;
    soon(() => this.prepare());
  }

  leave() {
    this.deaf();
    document.removeEventListener("selectionchange", this.onSelect);
    clearTimeout(this.selecting);
    clearInterval(this.timer);
    this.outbox.leave();
    this.frame.remove();
  }
}

export default mounting(ReviewDesk);
