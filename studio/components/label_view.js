// What the label desk looks like. LabelDesk (label.js) knows what the acts mean.

class LabelView extends LabelKeys {
  build() {
    this.frame?.remove();
    this.frame = make("section", "desk");
    this.frame.tabIndex = -1;
    this.frame.setAttribute("aria-label", this.mode === "settle" ? "Record to settle" : "Record to label");
    this.progress = make("span", "progress");
    this.progress.dataset.testid = "label-progress";
    this.agreement = make("span", "agreed");
    this.agreement.dataset.testid = "label-agreed";
    this.saved = make("span", "saved");
    this.saved.dataset.testid = "label-saved";
    this.saved.setAttribute("role", "status");
    const top = make("div", "top");
    top.append(this.progress, this.agreement, this.saved);
    this.words = make("p", "words");
    this.words.setAttribute("role", "alert");
    this.words.dataset.testid = "label-words";
    this.words.hidden = true;
    this.live = make("div", "unseen");
    this.live.setAttribute("aria-live", "polite");
    this.live.dataset.testid = "label-live";
    this.body = make("div", "body");
    this.body.dataset.testid = "label-card";
    this.body.tabIndex = 0;
    this.body.setAttribute("role", "article");
    this.body.setAttribute("aria-label", "The record");
    this.panel = make("div", this.def.fields.length > 1 ? "panel several" : "panel");
    this.answers = make("div", "answers");
    this.panel.append(this.answers, this.searchBox(), ...this.def.fields.map((field, place) => this.fieldBox(field, place)));
    this.sideBox = make("aside", "side");
    this.sideBox.dataset.testid = "label-side";
    this.sideBox.tabIndex = 0;
    const columns = make("div", "columns"), right = make("div", "right");
    right.append(this.panel, this.sideBox);
    columns.append(this.body, right);
    this.bar = make("div", "bar");
    this.bar.setAttribute("role", "toolbar");
    this.bar.setAttribute("aria-label", "What to do with the record");
    this.bar.append(...this.verbs.filter((verb) => this.inBar(verb)).map((verb) => this.button(verb)));
    const foot = make("div", "foot");
    foot.append(this.words, this.entryBox(), this.bar);
    this.frame.append(top, this.live, columns, foot);
    this.root.append(this.frame);
  }

  inBar(verb) {
    if (["search", "next_field", "clear", "accept"].includes(verb.do)) return false;
    return this.mode !== "settle" || !["drop", "keep", "rate"].includes(verb.do);
  }

  button(verb) {
    const found = make("button", `act act-${verb.do}`);
    found.type = "button";
    found.title = verb.help;
    found.dataset.testid = `label-${verb.do}`;
    found.dataset.verb = verb.do;
    found.setAttribute("aria-keyshortcuts", this.keyMap[verb.do] || verb.key);
    found.append(kbd(this.keyMap[verb.do] || verb.key), make("span", "", verb.label));
    found.addEventListener("pointerdown", (event) => event.preventDefault()); // keys and selected text stay where they are
    found.addEventListener("click", () => this.act(verb.do));
    return found;
  }

  searchBox() {
    this.search = make("input", "search");
    this.search.type = "search";
    this.search.dataset.testid = "label-search";
    this.search.setAttribute("aria-label", "Find an option");
    this.search.placeholder = `Find an option (${this.keyMap.search}), Enter takes the first`;
    this.search.addEventListener("input", () => this.filter());
    return this.search;
  }

  entryBox() {
    this.entry = make("div", "entry");
    this.entry.hidden = true;
    this.entryField = make("input");
    this.entryField.maxLength = 2000;
    this.entryField.dataset.testid = "label-entry";
    this.entryField.setAttribute("list", "label-tags");
    this.entry.append(this.entryField);
    return this.entry;
  }

  fieldBox(field, place) {
    const box = make("div", `field ${field.kind}`);
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", field.title + (field.required ? ", required" : ""));
    box.dataset.testid = `label-field-${field.key}`;
    const head = make("div", "fieldname", field.title);
    head.append(make("span", "need", field.required ? "required" : "optional"));
    box.append(head);
    if (field.help) box.append(make("div", "fieldhelp", field.help));
    box.addEventListener("pointerdown", () => { if (this.fieldAt !== place) this.goField(place); });
    if (field.kind === "text") box.append(this.textField(field));
    else {
      const list = make("div", "options");
      list.append(...this.optionsOf(field).map((option, at) => this.optionButton(field, place, option, at)));
      box.append(list);
    }
    if (field.kind === "spans") box.append(make("ul", "spans"));
    return box;
  }

  textField(field) {
    const text = make("textarea");
    text.rows = 3;
    text.maxLength = 10000;
    text.dataset.testid = `label-text-${field.key}`;
    text.setAttribute("aria-label", field.title);
    text.placeholder = `${this.keyMap.search} to write · Ctrl+Enter answers · Esc back to the keys`;
    text.addEventListener("input", () => { if (this.card) { this.draft()[field.key] = text.value; this.keep(); } });
    return text;
  }

  optionsOf(field) {
    if (field.kind !== "scale") return field.options;
    return Array.from({ length: field.high - field.low + 1 }, (_, step) => ({ value: field.low + step, title: String(field.low + step), key: "" }));
  }

  // The key of an option: its own unless an act of this person has it, else its number among the first nine.
  optionKey(field, option, at) {
    if (field.kind === "scale" && field.low >= 0 && field.high <= 9) return String(option.value);
    if (option.key && !Object.values(this.keyMap).includes(option.key.toLowerCase())) return option.key.toLowerCase();
    return at < 9 ? String(at + 1) : "";
  }

  optionButton(field, place, option, at) {
    const found = make("button", "option");
    found.type = "button";
    found.dataset.value = String(option.value);
    found.dataset.testid = `label-option-${at}`;
    const key = this.optionKey(field, option, at);
    found.append(make("kbd", key === option.title ? "same" : key ? "" : "none", key.toUpperCase()), make("span", "name", option.title), make("span", "guess"));
    tinted(found, option.colour);
    found.addEventListener("pointerdown", (event) => event.preventDefault());
    found.addEventListener("click", () => { this.fieldAt = place; this.choose(option.value); });
    return found;
  }

  filter() {
    const wanted = this.search.value.trim().toLowerCase();
    for (const button of this.panel.querySelectorAll(".field.active .option")) button.hidden = !button.querySelector(".name").textContent.toLowerCase().includes(wanted);
    this.mark(0);
  }

  mark(step) {
    const shown = [...this.panel.querySelectorAll(".field.active .option:not([hidden])")];
    const had = shown.findIndex((button) => button.classList.contains("first"));
    for (const button of this.panel.querySelectorAll(".option.first")) button.classList.remove("first");
    if (!this.search.value) return;
    const now = shown[Math.min(shown.length - 1, Math.max(0, step ? had + step : 0))];
    now?.classList.add("first");
    now?.scrollIntoView({ block: "nearest" });
    this.tell(now ? `${now.querySelector(".name").textContent}, ${shown.length} found` : "No option found");
  }

  type() {
    const text = this.panel.querySelector(".field.active textarea");
    if (text) text.focus(); else if (!this.search.hidden) this.search.focus();
  }

  goField(place) {
    this.fieldAt = place;
    if (this.search.value) this.search.value = "";
    this.paintFields();
    this.filter();
    if (this.root.activeElement !== this.frame) this.hold();
    this.panel.querySelector(".field.active")?.scrollIntoView({ block: "nearest" });
    this.tell(`${this.field.title}, ${this.field.kind}`);
  }

  // --- painting -----------------------------------------------------------------------------------------------------
  paint() {
    this.top();
    this.paintBody();
    this.paintFields();
    for (const button of this.bar.children) {
      button.disabled = !!this.drafts || (!this.card && !["undo", "back", "help", "guide"].includes(button.dataset.verb));
      if (button.dataset.verb === "flag") button.setAttribute("aria-pressed", String(!!this.card?.marks.flag));
      if (button.dataset.verb === "submit") button.hidden = this.single || this.settling;
    }
  }

  top() {
    this.progress.textContent = this.mode === "settle" ? `${Math.max(0, this.numbers.open - this.since).toLocaleString("en")} to settle`
      : `${(this.numbers.mine + this.since).toLocaleString("en")} by me · ${(this.numbers.done + (this.def.needed === 1 ? this.since : 0)).toLocaleString("en")} of ${this.numbers.total.toLocaleString("en")} records done`;
    this.agreement.textContent = this.agreed;
    this.outbox.paint(this.saved);
  }

  paintBody() {
    const card = this.card;
    this.body.classList.toggle("spanning", !!card && this.field.kind === "spans");
    if (!card) {
      delete this.body.dataset.record;
      return this.body.replaceChildren(this.end());
    }
    const turns = card.messages.map((turn, place) => this.drafts
      ? editField(turn, place, this.drafts[place], (value) => { this.drafts[place] = value; this.keep(); })
      : turnBox(turn, place, this.marksOf(card, place), this.whole.has(`${card.id} ${place}`), (at) => { this.whole.add(`${card.id} ${at}`); this.paint(); }));
    this.body.replaceChildren(factsOf(card, (tag) => this.dropTag(tag)), ...turns, ...(this.drafts ? [this.editBar()] : []));
    this.body.dataset.record = card.id;
  }

  marksOf(card, place) {
    const text = card.messages[place].content, found = [];
    for (const field of this.def.fields.filter((one) => one.kind === "spans")) {
      for (const span of this.draft()[field.key] || []) {
        const option = field.options.find((one) => one.value === span.value);
        if (span.turn === place) found.push({ start: units(text, span.start), end: units(text, span.end), word: option?.title || span.value, colour: option?.colour });
      }
    }
    const cursor = this.field.kind === "spans" ? this.cursorPlace() : null;
    return cursor?.turn === place ? [...found, { ...cursor, cursor: true }] : found;
  }

  editBar() {
    const bar = make("div", "editbar");
    const save = make("button", "act primary", "Save wording (Ctrl+Enter)"), leave = make("button", "act", "Leave it as it was (Esc)");
    save.type = leave.type = "button";
    save.dataset.testid = "label-save-edit";
    save.addEventListener("click", () => this.saveEdit());
    leave.addEventListener("click", () => this.leaveEdit());
    bar.append(save, leave);
    return bar;
  }

  leaveEdit() { this.drafts = null; this.keep(); this.say(""); this.paint(); this.hold(); }

  paintFields() {
    this.panel.hidden = !this.card;
    this.paintAnswers();
    const active = this.field;
    this.search.hidden = !this.card || this.settling || this.optionsOf(active).length <= 9;
    for (const [place, field] of this.def.fields.entries()) {
      const box = this.panel.querySelector(`[data-testid="label-field-${CSS.escape(field.key)}"]`);
      box.classList.toggle("active", field === active && !this.settling);
      box.hidden = this.settling;
      if (!this.card) continue;
      const value = this.draft()[field.key], guess = this.card.suggested?.[field.key];
      const text = box.querySelector("textarea");
      if (text && this.root.activeElement !== text) text.value = value || "";
      for (const button of box.querySelectorAll(".option")) {
        const own = button.dataset.value, on = Array.isArray(value) ? field.kind === "multi" && value.map(String).includes(own) : value !== undefined && String(value) === own;
        button.classList.toggle("on", on);
        if (field.kind !== "spans") button.setAttribute("aria-pressed", String(on));
        const guessed = guess && [].concat(guess.value).map(String).includes(own);
        button.querySelector(".guess").textContent = guessed ? `suggested, ${Math.round(guess.confidence * 100)} %` : "";
      }
      const list = box.querySelector(".spans");
      if (list) list.replaceChildren(...(value || []).map((span, at) => this.spanLine(field, span, at)));
      if (place === this.fieldAt) box.querySelector(".fieldname").setAttribute("aria-current", "true");
      else box.querySelector(".fieldname").removeAttribute("aria-current");
    }
  }

  spanLine(field, span, at) {
    const line = make("li", "", answerWords({ [field.key]: [span] }, [{ ...field, title: "" }], this.card).slice(2));
    const off = make("button", "off", "×");
    off.type = "button";
    off.setAttribute("aria-label", "Take off this mark");
    off.addEventListener("click", () => { this.draft()[field.key].splice(at, 1); this.keep(); this.paint(); this.hold(); });
    line.append(off);
    return line;
  }

  paintAnswers() {
    this.answers.hidden = !this.settling || !this.card;
    if (this.answers.hidden) return;
    const said = (field) => this.card.answers.map((one) => JSON.stringify(one.answer[field.key] ?? null));
    const alike = this.def.fields.filter((field) => new Set(said(field)).size === 1), differing = this.def.fields.filter((field) => !alike.includes(field));
    const shared = alike.filter((field) => said(field)[0] !== "null");
    const same = make("div", "alike", shared.length ? `The same: ${answerWords(this.card.answers[0].answer, shared, this.card)}` : "");
    this.answers.replaceChildren(...this.card.answers.map((one, at) => {
      const found = make("button", "option");
      found.type = "button";
      found.dataset.testid = `label-answer-${at}`;
      const text = make("span", "name");
      text.append(make("strong", "", one.who), ...differing.map((field) => make("span", "line", answerWords(one.answer, [field], this.card))));
      found.append(kbd(String(at + 1)), text);
      found.addEventListener("click", () => this.store(one.answer));
      return found;
    }), this.otherButton(), same);
  }

  otherButton() {
    const found = make("button", "option");
    found.type = "button";
    found.dataset.testid = "label-other";
    found.append(kbd("o"), make("span", "name", "Another answer"));
    found.addEventListener("click", () => this.another());
    return found;
  }

  another() { this.other = true; this.paint(); }

  end() {
    const box = make("div", "end");
    if (this.more || this.asking) { box.append(make("strong", "", "Loading…")); return box; }
    box.append(make("strong", "", this.cards.length ? "That was the last record of this queue" : "No record waits in this queue"));
    box.append(make("p", "", this.cards.length ? "Skipped records come again when you start from the top." : this.mode === "settle"
      ? "Nobody disagrees, or everything is settled." : "Everything that matches has the answers it needs, or somebody else holds it now. Choose another filter above."));
    const again = make("button", "act", "Start from the top");
    again.type = "button";
    again.dataset.testid = "label-again";
    again.addEventListener("click", () => this.again());
    box.append(again);
    return box;
  }

  paintSide() {
    this.sideBox.hidden = !this.side;
    this.frame.classList.toggle("reading", !!this.side);
    const parts = { help: () => this.helpParts(), guide: () => this.guideParts(), history: () => this.historyParts() }[this.side];
    this.sideBox.replaceChildren(...(parts ? [this.closeButton(), ...parts()] : []));
  }

  closeButton() {
    const close = make("button", "off close", "×");
    close.type = "button";
    close.dataset.testid = "label-side-close";
    close.setAttribute("aria-label", "Close, back to the record");
    close.addEventListener("click", () => { this.side = ""; this.paintSide(); this.hold(); });
    return close;
  }

  guideParts() {
    const found = [make("h3", "", "Guidelines"), make("div", "said", this.def.guidelines || "This set has no guidelines yet.")];
    if (this.def.examples.length) found.push(make("h3", "", "Examples"));
    return [...found, ...this.def.examples.map((example) => exampleBox(example, this.def.fields))];
  }

  historyParts() {
    const list = make("ol", "past");
    for (const line of this.looked?.history || []) {
      const item = make("li", line.standing ? "" : "past");
      item.append(make("strong", "", `${line.who} `), document.createTextNode(line.what), make("span", "when", ` · ${line.when}`));
      list.append(item);
    }
    const empty = this.looked ? "Nobody did anything with this record yet." : "Looking…";
    return [make("h3", "", "History of this record"), this.looked?.history.length ? list : make("p", "", empty)];
  }

  helpParts() {
    const lines = this.verbs.map((verb) => {
      const line = make("div", "line"), change = make("button", "change", "change");
      change.hidden = verb.fixed;
      change.type = "button";
      change.setAttribute("aria-label", `Change the key of: ${verb.label}`);
      change.dataset.testid = `label-change-${verb.do}`;
      change.addEventListener("click", () => this.learn(verb));
      line.append(kbd(this.keyMap[verb.do]), make("span", "what", verb.help), change);
      return line;
    });
    const fixed = [["1 – 9", "Choose an option of the field in turn"], ["⇧ 1 – 5", "Rate the record"], ["Enter", "Answer with what is chosen, or with the suggestion"],
      ["← →", "Back and skip; in a field of marks: move over the words, with Shift further, ↑ ↓ to another turn"], ["Ctrl Enter", "Keep what you wrote"], ["Esc", "Back to the keys"]]
      .map(([key, help]) => { const line = make("div", "line"); line.append(make("kbd", "", key), make("span", "what", help)); return line; });
    const reset = make("button", "act", "All keys as they came");
    reset.type = "button";
    reset.dataset.testid = "label-keys-reset";
    reset.addEventListener("click", () => this.outbox.add("keys", { keys: {} }));
    return [make("h3", "", "Keys"), ...lines, ...fixed, reset];
  }

  learn(verb) {
    this.learning = verb;
    this.say(`Press the new key for “${verb.label}” (Esc: leave it).`);
    this.hold();
  }
}
