// @ts-check
// Parts of a page that change by themselves: `data-live` says where the server sends them.

import { isFinal, notLive, pause } from "./again.js";

/** A stream ends every ten seconds and is soon there again: only what lasts longer than this, in ms, is told. */
const SOON = 3000;

/**
 * A connection that is lost without a word (a tunnel that is gone, a machine that slept) stays open, and nothing comes.
 * Of one that is there something does within this, in ms: at least its stream's end, and the beginning of the next.
 */
const SILENT = 30_000;

/** One part, for as long as something of it is to come. */
class Live {
  #failures = 0;
  /** @type {Date | null} since when nothing comes */
  #since = null;
  #said = document.createElement("p");
  /** @type {EventSource | null} */
  #source = null;
  /** When it is asked for again. */
  #later = 0;
  /** When its silence means that it is lost. */
  #lost = 0;
  /** Whether nothing more is to come. */
  #done = false;

  /** @param {HTMLElement} part */
  constructor(part) {
    this.part = part;
    this.address = part.dataset.live ?? "";
    this.#said.className = "stale";
    this.#said.setAttribute("role", "status");
    part.before(this.#said);
    // Nobody looks at a hidden tab, and each stream takes one of six connections that a browser has to a server without
    // HTTP/2, for all its tabs together.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.#follow()));
    this.#follow();
  }

  #rest() {
    clearTimeout(this.#later);
    clearTimeout(this.#lost);
    this.#source?.close();
    this.#source = null;
  }

  #follow() {
    if (this.#done || this.#source || document.hidden) return;
    const source = new EventSource(this.address);
    this.#source = source;
    this.#listen();
    source.addEventListener("open", () => {
      this.#listen();
      this.#failures = 0;
      this.#since = null;
      this.#said.textContent = "";
    });
    source.addEventListener("part", (event) => {
      this.#listen();
      show(this.part, event.data);
    });
    source.addEventListener("end", (event) => {
      this.#done = true;
      this.#rest();
      show(this.part, event.data);
      this.part.dataset.ended = "";
    });
    source.addEventListener("error", () => {
      this.#since ??= new Date();
      // The browser comes again by itself, but not after an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) {
        this.#rest();
        this.#again();
      } else setTimeout(() => this.#tell(false), SOON);
    });
  }

  /** Waits for what comes next, and no longer than something would if the connection were there. */
  #listen() {
    clearTimeout(this.#lost);
    const since = new Date();
    this.#lost = setTimeout(() => {
      this.#rest();
      this.#since ??= since;
      this.#tell(false);
      this.#follow();
    }, SILENT);
  }

  async #again() {
    const final = isFinal(await statusOf(this.address));
    this.#done = final;
    this.#tell(final);
    if (!final) this.#later = setTimeout(() => this.#follow(), pause(++this.#failures));
  }

  /** @param {boolean} final */
  #tell(final) {
    if (this.#since) this.#said.textContent = notLive(this.#since, final);
  }
}

/**
 * What is answered there, which an `EventSource` does not tell.
 * @param {string} address
 */
async function statusOf(address) {
  const enough = new AbortController();
  setTimeout(() => enough.abort(), SILENT);
  const response = await fetch(address, { redirect: "manual", signal: enough.signal }).catch(() => null);
  enough.abort();
  // A proxy shows to its own login.
  return response?.type === "opaqueredirect" ? 401 : (response?.status ?? 0);
}

/**
 * Draws a part anew, if it is another: what had the focus has it still, and what was scrolled stays so.
 * @param {HTMLElement} part
 * @param {string} html as our own templates drew it
 */
function show(part, html) {
  const drawn = document.createElement("template");
  drawn.innerHTML = html;
  if (drawn.innerHTML.trim() === part.innerHTML.trim()) return;
  const focused = part.contains(document.activeElement) ? document.activeElement?.id : "";
  // Read now: what is not in the page any more is not scrolled.
  const scrolled = [...part.querySelectorAll("[id]")].map(({ id, scrollLeft, scrollTop }) => ({ id, scrollLeft, scrollTop }));
  part.replaceChildren(drawn.content);
  for (const { id, scrollLeft, scrollTop } of scrolled) {
    if (scrollLeft || scrollTop) document.getElementById(id)?.scrollTo(scrollLeft, scrollTop);
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

for (const part of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-live]"))) new Live(part);
