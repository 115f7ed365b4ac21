// What is half answered or half written of a record and not sent yet: kept in this browser by set and record, so that a page that
// is loaded again gives it back. It goes when the answer is sent or the record passed over, at the latest after a month.

const MONTH = 30 * 86400000; // ms

class Drafts {
  constructor(store, mode, fields) {
    this.store = `tunewright-draft:${store}:${mode}:`;
    this.fields = fields;
    this.sweep();
  }

  // `texts` are the turns of a wording that is being edited, or null. What says no more than what stands is not kept.
  keep(setId, card, texts) {
    const answer = card.draft && JSON.stringify(card.draft) !== JSON.stringify(standing(card)) ? card.draft : null;
    if (!answer && !texts) return this.drop(setId, card.id);
    try {
      localStorage.setItem(this.name(setId, card.id), JSON.stringify({ at: Date.now(), version: card.version, answer, texts }));
    } catch { /* private windows can forbid it: the draft then lives as long as the page */ }
  }

  // What was begun on this record: {answer, texts}, each null where there is none or where it fits no longer.
  of(setId, card) {
    let kept = null;
    try { kept = JSON.parse(localStorage.getItem(this.name(setId, card.id))); } catch { /* see keep() */ }
    if (!kept) return null;
    const worded = kept.version === card.version; // places in the text and turns are those of the wording that was read
    const answer = kept.answer && Object.fromEntries(this.fields.map((field) => [field.key, fitting(field, kept.answer[field.key], worded)])
      .filter(([, value]) => value !== undefined));
    return { answer, texts: worded ? kept.texts : null };
  }

  drop(setId, cardId) {
    try { localStorage.removeItem(this.name(setId, cardId)); } catch { /* see keep() */ }
  }

  name(setId, cardId) { return `${this.store}${setId}:${cardId}`; }

  sweep() {
    try {
      for (const name of Object.keys(localStorage).filter((one) => one.startsWith(this.store))) {
        if (Date.now() - JSON.parse(localStorage.getItem(name)).at > MONTH) localStorage.removeItem(name);
      }
    } catch { /* see keep() */ }
  }
}

// What an answer begins with: what I said before, else what the light model suggests.
function standing(card) {
  return card.mine || Object.fromEntries(Object.entries(card.suggested || {}).map(([key, one]) => [key, one.value]));
}

// The part of a draft's value that the field, which may have changed since, still takes; undefined where there is none.
function fitting(field, value, worded) {
  const offered = (one) => field.options.some((option) => option.value === one);
  if (value === undefined || field.kind === "text") return value;
  if (field.kind === "scale") return value >= field.low && value <= field.high ? value : undefined;
  if (field.kind === "choice") return offered(value) ? value : undefined;
  return field.kind === "multi" ? value.filter(offered) : worded ? value.filter((span) => offered(span.value)) : undefined;
}
