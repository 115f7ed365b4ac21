// Which key does what on the label desk; LabelDesk (label.js) knows what the acts mean.

class LabelKeys {
  covered() { return coveredPage(() => this.shownAgain()); }

  key(event) {
    const target = event.composedPath()[0];
    const typing = target && (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable);
    if (this.covered()) return;
    if (this.learning) return this.learned(event);
    if (typing) return this.typed(event, target);
    if (this.drafts && event.key === "Escape") { event.preventDefault(); return this.leaveEdit(); }
    if (this.drafts || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
    const inside = event.composedPath().includes(this.frame) || target === document.body;
    if (this.named(event, inside, target)) event.preventDefault();
  }

  named(event, inside, target) {
    const key = event.key.toLowerCase(), digit = this.digit(event);
    const onButton = target?.tagName === "BUTTON" && target !== this.frame;
    if (this.rating && digit) return digit <= 5 ? (this.rate(digit), true) : false;
    if (this.rating) { this.rating = false; this.say(""); }
    if (event.key === "Escape" && inside) { this.side = ""; this.paintSide(); this.hold(); return true; }
    if (event.key === "Enter" && inside && !onButton) { if (this.settling) return false; this.act("submit"); return true; }
    if (event.shiftKey && /^Digit[1-5]$/.test(event.code) && !/^\d$/.test(event.key)) { if (this.card && this.mode !== "settle") this.rate(Number(event.code[5])); return true; }
    if (/^Arrow/.test(event.key)) return inside && this.arrow(event);
    const verb = this.verbs.find((one) => this.keyMap[one.do] === key);
    if (this.card && this.settling && key === "o") { this.another(); return true; }
    if (this.card && this.settling && digit && this.card.answers[digit - 1]) { this.store(this.card.answers[digit - 1].answer); return true; }
    if (verb && (this.mode !== "settle" || this.inBar(verb) || this.other)) { this.act(verb.do); return true; }
    if (!this.card || this.settling) return false;
    const field = this.field, option = this.optionsOf(field).find((one, at) => this.optionKey(field, one, at) === key)
      || (digit && field.kind !== "scale" ? this.optionsOf(field)[digit - 1] : undefined);
    if (option) this.choose(option.value);
    return !!option;
  }

  digit(event) { return /^[1-9]$/.test(event.key) ? Number(event.key) : 0; }

  arrow(event) {
    if (this.card && this.field.kind === "spans" && !this.settling) { this.moveCursor(event.key, event.shiftKey); return true; }
    if (event.key === "ArrowLeft") { this.act("back"); return true; }
    if (event.key === "ArrowRight") { this.act("skip"); return true; }
    return false;
  }

  typed(event, target) {
    if (!event.composedPath().includes(this.frame)) return;
    const taken = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (event.key === "Escape") {
      event.preventDefault();
      if (this.drafts) return this.leaveEdit();
      if (target === this.entryField) return this.closeEntry(false);
      if (target === this.search) { this.search.value = ""; this.filter(); }
      return this.hold();
    }
    if (this.drafts) { if (taken) { event.preventDefault(); this.saveEdit(); } return; }
    if (target === this.entryField && event.key === "Enter") { event.preventDefault(); return this.closeEntry(true); }
    if (target === this.search && /^Arrow(Up|Down)$/.test(event.key)) { event.preventDefault(); return this.mark(event.key === "ArrowDown" ? 1 : -1); }
    if (target === this.search && event.key === "Enter") {
      event.preventDefault();
      const found = this.panel.querySelector(".option.first");
      this.search.value = "";
      this.hold();
      this.filter();
      if (found) { const field = this.field; this.choose(this.optionsOf(field).find((option) => String(option.value) === found.dataset.value).value); }
      return;
    }
    if (taken) { event.preventDefault(); this.hold(); this.act("submit"); }
  }

  learned(event) {
    event.preventDefault();
    if (["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    const verb = this.learning;
    this.learning = null;
    if (event.key === "Escape") return this.say("");
    const key = event.key.toLowerCase();
    const option = this.def.fields.flatMap((field) => field.options).find((one) => (one.key || "").toLowerCase() === key);
    if (option) return this.say(`${key.toUpperCase()} is the key of the option ${option.title} in this set.`);
    this.outbox.add("keys", { keys: { ...this.keyMap, [verb.do]: key } });
    this.say(`Asking for ${key.toUpperCase()}…`);
  }
}
