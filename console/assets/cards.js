// @ts-check
// The cards of the grid: drawn by the server, drawn anew after a correction, and more of them as the end comes near.

import { isFinal, pause } from "./again.js";
import { ask, complain, Refused, say } from "./ask.js";
import { addresses } from "./corrections.js";
import { comesBefore } from "./selection.js";

export const grid = /** @type {HTMLElement | null} */ (document.getElementById("grid"));
/** The cards, in their order. They are only ever added to. */
export const cards = /** @type {HTMLCollectionOf<HTMLElement>} */ (grid?.children ?? document.createElement("ul").children);

/**
 * Draws all cards of these images anew.
 * @param {string[]} images
 */
export async function refresh(images) {
  const wanted = new Set(images);
  const places = [...cards].filter((card) => wanted.has(card.dataset.image ?? "")).map((card) => card.dataset.place ?? "");
  for (const address of addresses(places)) {
    const response = await ask("GET", address);
    for (const card of /** @type {NodeListOf<HTMLElement>} */ (drawn(await response.text()).querySelectorAll(".card"))) {
      const old = document.getElementById(card.id);
      if (!old) continue;
      // The same picture is not loaded again; another one, which nobody has seen yet, is.
      const [was, is] = [old, card].map((either) => either.querySelector("img"));
      if (was && is?.getAttribute("src") === was.getAttribute("src")) is.replaceWith(was);
      // The card itself stays: the browser remembers how tall it is while it is out of sight, and the grid which
      // one is active.
      old.dataset.version = card.dataset.version;
      old.replaceChildren(...card.childNodes);
    }
  }
}

/** @param {string} html as our own templates drew it */
function drawn(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/** @type {Promise<boolean> | null} */
let loading = null;
/** Pieces in a row that could not be had. */
let failures = 0;
/** When the next one is asked for by itself; however many keys were pressed meanwhile, once. */
let again = 0;
/** Cards that somebody who comes back to one waits for at most. */
const MOST_AT_ONCE = 10_000;

/**
 * Loads the next piece; whoever asks meanwhile waits for the same one.
 * @returns {Promise<boolean>} whether there was one
 */
export function loadMore() {
  loading ??= load().finally(() => (loading = null));
  return loading;
}

async function load() {
  const more = document.getElementById("more");
  if (!more) return false;
  clearTimeout(again);
  try {
    const response = await ask("GET", more.dataset.more ?? "");
    const piece = drawn(await response.text());
    grid?.append(...piece.querySelectorAll(".card"));
    const next = piece.getElementById("more");
    if (next) more.replaceWith(next);
    else more.remove();
  } catch (error) {
    complain(error);
    // Not at once: its end, still in sight, would ask as fast as it is refused. A key or a click does not wait.
    if (!(error instanceof Refused && isFinal(error.status))) again = setTimeout(watch, pause(++failures));
    return false;
  }
  if (failures) say("The console answers again.");
  failures = 0;
  watch();
  return true;
}

/**
 * Loads until the card `id` is there, or all that come before it are, or more than anybody waits for.
 * @param {string} id
 */
export async function loadUntil(id) {
  const most = cards.length + MOST_AT_ONCE;
  const isThere = () => cards.length > 0 && !comesBefore(cards[cards.length - 1].id, id);
  while (!isThere() && cards.length < most && (await loadMore()));
}

const sight = new IntersectionObserver(
  (entries) => {
    if (entries.some((entry) => entry.isIntersecting)) loadMore();
  },
  { rootMargin: "1500px" },
);

/** Loads more when the end comes near. */
function watch() {
  sight.disconnect();
  const more = document.getElementById("more");
  if (more) sight.observe(more);
}

document.addEventListener("click", (event) => {
  if (!(/** @type {Element} */ (event.target).closest("#more"))) return;
  event.preventDefault();
  loadMore();
});

watch();
