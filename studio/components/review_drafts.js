// What was begun on a pair and not sent yet (scores, marks, a note, a better answer): kept in this browser by card, so that a page
// that is loaded again gives it back. It goes with the verdict, at the latest after a month.

const MONTH = 30 * 86400000; // ms

class Drafts {
  constructor(store) {
    this.store = `tunewright-draft:${store}:`;
    try {
      for (const name of Object.keys(localStorage).filter((one) => one.startsWith(this.store))) {
        if (Date.now() - JSON.parse(localStorage.getItem(name)).at > MONTH) localStorage.removeItem(name);
      }
    } catch { /* private windows can forbid it: a draft then lives as long as the page */ }
  }

  keep(id, draft) {
    try { localStorage.setItem(this.store + id, JSON.stringify({ at: Date.now(), draft })); } catch { /* see above */ }
  }

  of(id) {
    try { return JSON.parse(localStorage.getItem(this.store + id))?.draft || null; } catch { return null; }
  }

  drop(id) {
    try { localStorage.removeItem(this.store + id); } catch { /* see above */ }
  }
}
