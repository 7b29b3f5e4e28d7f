// @ts-check
// Questions to the console, and what it says to people.

/** What the console says when something is wrong (RFC 9457). */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {{title?: string, detail?: string, what_to_do?: string}} problem
   */
  constructor(status, problem) {
    super(sentence(status, problem));
    this.status = status;
  }
}

/**
 * A problem as a sentence for people.
 * @param {number} status
 * @param {{title?: string, detail?: string, what_to_do?: string}} problem
 */
export function sentence(status, problem) {
  const what = problem.detail ?? problem.title ?? `the console answered ${status}`;
  const begun = what.charAt(0).toUpperCase() + what.slice(1);
  return problem.what_to_do ? `${begun}. ${problem.what_to_do}` : `${begun}.`;
}

let toTheLogin = false;

/** Whether the login has ended and the page is about to go to the next one: nobody is asked whether to leave then. */
export const isOnItsWayToTheLogin = () => toTheLogin;

/**
 * Asks, with the secret of our pages.
 * @param {string} method
 * @param {string} path
 * @param {{body?: unknown, seen?: string, ended?: string}} [more] what is sent, the version that was seen, and where
 *   to go if the login has ended: if nothing is said, to the next one, and back
 * @returns {Promise<Response>}
 */
export async function ask(method, path, more = {}) {
  const csrf = document.querySelector('meta[name="csrf"]')?.getAttribute("content") ?? "";
  /** @type {Record<string, string>} */
  const headers = { "X-CSRF-Token": csrf };
  if (more.body !== undefined) headers["Content-Type"] = "application/json";
  if (more.seen !== undefined) headers["If-Match"] = more.seen === "*" ? "*" : `"${more.seen}"`;
  const body = more.body === undefined ? undefined : JSON.stringify(more.body);
  const response = await fetch(path, { method, headers, body, redirect: "manual" }).catch(() => null);
  if (!response) throw new Refused(0, { detail: "the console does not answer", what_to_do: "Try again in a moment." });
  if (response.type === "opaqueredirect" || response.status === 401) {
    toTheLogin = true;
    // Whoever comes back would take it for done.
    if (method !== "GET" && !more.ended) leaveWord("Your login had ended: what you did last was not written, or not all of it.", "bad");
    location.assign(more.ended ?? `/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Refused(401, { detail: "your login has ended" });
  }
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

/**
 * Says something to whoever looks at the page.
 * @param {string} text
 * @param {"good" | "bad"} [kind]
 */
export function say(text, kind = "good") {
  const place = document.getElementById("said");
  if (!place) return;
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  place.replaceChildren(line);
  // Long enough for everybody to read; what is bad stays until the next word.
  if (kind === "good") setTimeout(() => line.remove(), 30_000);
}

/** What is left for the next page to say, in the store of this tab. */
const WORD = "word";

/**
 * Has the next page that can say something say this.
 * @param {string} text
 * @param {"good" | "bad"} [kind]
 */
export function leaveWord(text, kind = "good") {
  try {
    sessionStorage.setItem(WORD, JSON.stringify({ text, kind }));
  } catch {
    // The store of this tab is full. What was done is done, and goes on without a word.
  }
}

/** Says what the page before has left, unless this one has no place for it: on the way to a login there is none. */
export function sayWhatWasLeft() {
  const left = sessionStorage.getItem(WORD);
  if (!left || !document.getElementById("said")) return;
  sessionStorage.removeItem(WORD);
  const { text, kind } = JSON.parse(left);
  say(text, kind);
}

/** @param {unknown} error */
export function complain(error) {
  say(error instanceof Error ? error.message : String(error), "bad");
}
