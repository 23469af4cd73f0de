// One stream of events for the view in sight, and what is known of how fresh it is.
//
// The former stream ends when the next one has brought its first message, so nothing flickers. A tab
// that nobody sees holds no stream: a browser has six connections for a host, and a server has others.

const STALE_MS = 4000;

export class Stream {
  #source = null;
  #view = null;
  #handlers;
  #page = null;
  #lastAt = 0;
  #broken = false;
  #ticker;

  /** handlers: message(page, head, isFull), state(name, seconds), refused(status) */
  constructor(handlers) {
    this.#handlers = handlers;
    document.addEventListener("visibilitychange", () => this.#seen());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => { if (event.persisted) this.#seen(); });
    this.#ticker = setInterval(() => this.#tell(), 500);
  }

  /** Show another view: a query such as page=campaigns&sort=-spend. The same one again is kept. */
  show(view) {
    if (view === this.#view && this.#source) return;
    this.#view = view;
    if (!document.hidden) this.#open();
  }

  again() {
    if (this.#view !== null) this.#open();
  }

  head = null;

  #open() {
    const before = this.#source;
    const source = new EventSource(`/api/stream?${this.#view}`);
    this.#source = source;
    let first = true;
    source.onmessage = (event) => {
      if (source !== this.#source) return source.close();
      if (first) { first = false; if (before) before.close(); }
      this.#take(JSON.parse(event.data));
    };
    source.onerror = () => {
      if (source !== this.#source) return source.close();
      this.#broken = true;
      if (before) before.close();
      if (source.readyState === EventSource.CLOSED) this.#refused();
      this.#tell();
    };
  }

  async #refused() {
    // A stream says nothing of why it was refused; the same view asked once does.
    const view = this.#view;
    try {
      const answer = await fetch(`/api/view?${view}`, { cache: "no-store" });
      if (answer.status === 401) return this.#handlers.refused(401);
      if (answer.status === 400 || answer.status === 404) return this.#handlers.refused(answer.status, (await answer.json()).error);
    } catch { /* away: tried again below */ }
    setTimeout(() => { if (view === this.#view && !document.hidden) this.#open(); }, 1500);
  }

  #take(message) {
    this.#lastAt = performance.now();
    this.#broken = false;
    this.head = message.head;
    if (message.full) this.#page = message.page;
    else {
      const { changed, ...rest } = message.page;
      Object.assign(this.#page, rest);
      if (changed) for (const [i, row] of Object.entries(changed)) this.#page.rows[i] = row;
    }
    this.#handlers.message(this.#page, message.head, message.full, message.page);
    this.#tell();
  }

  #tell() {
    if (document.hidden) return;
    const silent = this.#lastAt ? (performance.now() - this.#lastAt) / 1000 : 0;
    const head = this.head;
    if (this.#broken) this.#handlers.state("reconnecting", silent);
    else if (!this.#lastAt) this.#handlers.state("connecting", null);
    else if (silent * 1000 > STALE_MS) this.#handlers.state("stale", silent);
    else if (!head.is_connected) this.#handlers.state("stale", head.silent_s + silent);
    else if (!head.is_caught_up) this.#handlers.state("reading back", null);
    else this.#handlers.state("live", null);
  }

  #seen() {
    if (document.hidden) this.#close();
    else if (this.#view !== null && !this.#source) this.#open();
  }

  #close() {
    if (this.#source) this.#source.close();
    this.#source = null;
  }
}

/** Ask once. Raises an Error with the server's words. */
export async function ask(path, { signal } = {}) {
  const answer = await fetch(path, { cache: "no-store", signal, headers: { accept: "application/json" } });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(body.error || `the server answered ${answer.status}`), { status: answer.status });
  return body;
}

/** Order a change, with the token. */
export async function order(path, body, token) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(said.error || `the server answered ${answer.status}`), { status: answer.status });
  return said;
}
