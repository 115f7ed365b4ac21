// What every desk shares: elements filled through textContent only, ids of presses, and the outbox. A press lies in the outbox
// and in localStorage until Python says that it is stored; so a reload, a killed studio or a cut line repeat a press under the
// same id but never lose it. Presses go out in the order they were made, at most BATCH at once.

const PATIENCE = 2000; // ms without an acknowledgement before saying so and sending again
const BATCH = 100;
const DEAF = 10000; // ms without any, while the studio is well: then the page is loaded again
const ONCE_IN = 60000; // but not more often than this

function make(tag, className, text) {
  const found = document.createElement(tag);
  if (className) found.className = className;
  if (text !== undefined) found.textContent = text;
  return found;
}

function newId() {
  // crypto.randomUUID needs a secure context; 127.0.0.1 is one, a bare host name on a local network is not.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// After the next frame is drawn, so that nothing stands between a key and the screen; at the latest after a tenth of a second.
const soon = window.requestIdleCallback ? (then) => requestIdleCallback(then, { timeout: 100 }) : (then) => setTimeout(then, 30);

// A restarted studio can have lost whose browser this is, and would go on under the name of the login. Then the page is loaded
// again with the name; what is not stored yet lies in localStorage under it. A name that is changed in one visit is meant.
function nameLost(data) {
  const known = (window.tunewrightVisit ||= {});
  if (known.visit && known.visit !== data.visit && known.who !== data.who) {
    const address = new URL(location.href);
    address.searchParams.set("person", known.who);
    location.replace(address);
    return true;
  }
  Object.assign(known, { visit: data.visit, who: data.who });
  return false;
}

// A studio that was restarted can know nothing of this page and never draw it anew: Streamlit then throws away what a part of the
// page sends, without a word. The page is loaded again, under the same name; what is not stored yet lies in localStorage.
async function loadAgain(stillDeaf) {
  const store = window.sessionStorage, last = Number(store.getItem("tunewright:loaded-again") || 0);
  if (Date.now() - last < ONCE_IN) return;
  const well = () => fetch(new URL("_stcore/health", document.baseURI), { cache: "no-store" }).then((answer) => answer.ok, () => false);
  if (!(await well())) return;
  await new Promise((then) => setTimeout(then, PATIENCE));
  if (!stillDeaf() || !(await well())) return;
  store.setItem("tunewright:loaded-again", String(Date.now()));
  const address = new URL(location.href), who = window.tunewrightVisit?.who;
  if (who) address.searchParams.set("person", who);
  location.replace(address);
}

// Whatever lies over the page has the keys: nothing is answered that is covered. Streamlit's own cover for a silent server is put
// aside, because the desk says so itself and goes on; `again` waits for the record to be drawn once more.
function coveredPage(again) {
  const cover = document.querySelector('[role="dialog"]');
  if (!cover) return false;
  if (!cover.textContent.startsWith("Connection error")) return true;
  cover.querySelector('button[aria-label="Close"]')?.click();
  again();
  return true;
}

class Outbox {
  constructor(store, changed) {
    this.store = `tunewright:${store}:`;
    this.changed = changed; // called when the words about what is saved may have changed
    this.presses = this.stored();
    this.order = this.presses.length ? Math.max(...this.presses.map((press) => press.order)) : 0;
    this.since = null; // when the presses on their way left
    this.heard = performance.now(); // when Python last said a word
    this.late = false;
    this.timer = setInterval(() => this.patience(), 500);
    this.back = () => { this.since = null; this.flush(); };
    window.addEventListener("online", this.back);
  }

  stored() {
    const found = [];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const name = localStorage.key(i);
        if (name.startsWith(this.store)) found.push(JSON.parse(localStorage.getItem(name)));
      }
    } catch { /* private windows can forbid it: the outbox then lives as long as the page */ }
    return found.sort((a, b) => a.order - b.order);
  }

  add(verb, extra) {
    const press = { id: newId(), order: ++this.order, do: verb, ...extra };
    this.presses.push(press);
    try { localStorage.setItem(this.store + press.id, JSON.stringify(press)); } catch { /* see stored() */ }
    soon(() => this.flush());
    return press;
  }

  flush() {
    if (this.since !== null || !this.presses.length || !this.set) return;
    this.since = performance.now();
    this.set("outbox", { n: newId(), presses: this.presses.slice(0, BATCH) });
  }

  hear(session, acked, set) {
    this.set = set;
    this.heard = performance.now();
    if (session !== this.session) { // the studio was restarted, or this is the first word
      this.session = session;
      this.since = null;
    }
    const gone = new Set(acked);
    const left = this.presses.filter((press) => !gone.has(press.id));
    for (const id of gone) try { localStorage.removeItem(this.store + id); } catch { /* see stored() */ }
    if (left.length !== this.presses.length) { this.since = null; this.late = false; }
    this.presses = left;
  }

  patience() {
    if (this.since === null || performance.now() - this.since < PATIENCE) return;
    this.since = null;
    this.late = true;
    this.flush();
    this.changed();
    const deaf = () => performance.now() - this.heard > DEAF && this.presses.length > 0;
    if (deaf() && !this.asking) {
      this.asking = true;
      loadAgain(deaf).finally(() => { this.asking = false; });
    }
  }

  paint(element) {
    const waiting = this.presses.length;
    element.textContent = !waiting ? "Saved" : this.late
      ? `${waiting} not saved yet: the studio does not answer. They are kept in this browser and sent again.` : `${waiting} unsaved`;
    element.className = `saved ${waiting ? "waiting" : ""} ${this.late && waiting ? "late" : ""}`;
  }

  leave() {
    clearInterval(this.timer);
    window.removeEventListener("online", this.back);
  }
}

// The whole page hears keys too, and Streamlit draws it again at r: a desk hears them first, on their way down, and what it takes
// goes no further; but Escape closes what else is open as well. Gives back how to stop.
function hearKeys(desk) {
  const hear = (event) => {
    desk.key(event);
    if (event.defaultPrevented && event.key !== "Escape") event.stopPropagation();
  };
  document.addEventListener("keydown", hear, true);
  return () => document.removeEventListener("keydown", hear, true);
}

// Whether a reply is news. Streamlit can make a desk's element anew between a press and its answer: what the desk before has heard
// is known to the page, so a refusal is told by the next one. After a reload nothing is known, and old words stay unsaid.
function isNews(session, reply) {
  const heard = (window.tunewrightHeard ||= {}), before = heard[session];
  heard[session] = reply;
  return before !== undefined && before !== reply;
}

// What a desk's module exports: one desk an element, which hears all that Python says and goes with the element.
function mounting(Desk) {
  const desks = new WeakMap();
  return ({ data, parentElement, setStateValue }) => {
    if (nameLost(data)) return () => {};
    if (!desks.has(parentElement)) desks.set(parentElement, new Desk(parentElement, data));
    desks.get(parentElement).hear(data, setStateValue);
    return () => {
      desks.get(parentElement)?.leave();
      desks.delete(parentElement);
    };
  };
}
