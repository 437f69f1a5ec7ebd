// Asks the exporter's API, and listens to its stream where there is one.

const PATIENCE_MS = 10_000;
/** Taking samples takes a tick. */
const PATIENCE_CHANGE_MS = 20_000;
const PAGE = 1000;
const PAGES_MAX = 10;
const RETRY_MS = [2_000, 60_000];

/** What the exporter answered instead of an answer: in its own words, with what would help. */
export class Refusal extends Error {
  constructor(status, { detail, help } = {}) {
    super(detail ?? `The exporter answered with status ${status}.`);
    this.status = status;
    this.help = help ?? "";
  }
}

export class Source {
  /** @param {string} root where the exporter is, with a slash at its end */
  constructor(root) {
    this.root = root;
    this.ahead = 0;
  }

  /** The moment on the exporter's clock, in seconds: this machine's may go differently. */
  now() {
    return Date.now() / 1000 - this.ahead;
  }

  /** An answer of the API. Throws a Refusal, or another error where nobody answers. */
  async get(path, query = {}) {
    const known = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    const text = new URLSearchParams(known).toString();
    return this.ask(`${path}${text ? `?${text}` : ""}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  }

  /** Has something done, which the exporter takes as JSON alone: no page of another origin can send that unasked. */
  async post(path) {
    const headers = { "content-type": "application/json" };
    return this.ask(path, { method: "POST", headers, body: "{}", signal: AbortSignal.timeout(PATIENCE_CHANGE_MS) });
  }

  async ask(path, { headers, ...how }) {
    const accepting = { accept: "application/json", ...headers };
    const response = await fetch(`${this.root}api/v1/${path}`, { ...how, headers: accepting, cache: "no-store" });
    const told = Date.parse(response.headers.get("date"));
    if (told) this.ahead = (Date.now() - told) / 1000;
    if (!response.ok) throw new Refusal(response.status, await problemOf(response));
    return response.json();
  }

  /** All items of a list, page by page, up to ten thousand. */
  async all(path, key, query = {}) {
    const first = await this.get(path, { ...query, limit: PAGE });
    for (let page = 1; page < PAGES_MAX && first[key].length < first.total; page += 1) {
      const next = await this.get(path, { ...query, limit: PAGE, offset: page * PAGE });
      if (next[key].length === 0) break;
      first[key].push(...next[key]);
    }
    return first;
  }

  /** The paths that this exporter's API has. */
  async paths() {
    return new Set(Object.keys((await this.get("openapi.json")).paths));
  }
}

async function problemOf(response) {
  try {
    const text = await response.text();
    return response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : { detail: text.trim() };
  } catch {
    return {};
  }
}

/**
 * The live stream. Its messages say that something is new; the numbers come from the API all the same, so that a page
 * without a stream shows nothing else, only later.
 */
export class Stream {
  constructor(root, { onNews, onChange }) {
    this.url = new URL(`${root}api/v1/stream`, location.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.onNews = onNews;
    this.onChange = onChange;
    this.isOpen = false;
    this.wait = RETRY_MS[0];
  }

  open() {
    let socket;
    try {
      socket = new WebSocket(this.url);
    } catch {
      return; // Refused by the browser: the page polls.
    }
    socket.addEventListener("open", () => this.change(true));
    socket.addEventListener("message", (event) => this.take(event.data));
    socket.addEventListener("close", () => {
      this.change(false);
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, RETRY_MS[1]);
    });
  }

  change(isOpen) {
    if (isOpen) this.wait = RETRY_MS[0];
    if (isOpen !== this.isOpen) this.onChange((this.isOpen = isOpen));
  }

  take(text) {
    try {
      this.onNews(JSON.parse(text));
    } catch {
      // A message that is not understood is from a later exporter, and no reason to stop.
    }
  }
}
