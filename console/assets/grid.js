// @ts-check
// The grid: selecting, correcting at once, and undoing. What is a picture's is drawn by the server (`cards.js`);
// one listener serves all pictures, and those out of sight cost nothing (`content-visibility`).

import { ask, complain, Refused, say } from "./ask.js";
import { cards, grid, loadMore, loadUntil, refresh } from "./cards.js";
import { isAboutPictures, isPastUndoing, pictures, told, toldInPart, Undoable } from "./corrections.js";
import { isTyping } from "./keys.js";
import { waitBeforeLeaving } from "./leaving.js";
import { arrow, comesBefore, MOST, placeOf, requests, Selection } from "./selection.js";
import { Turns } from "./turns.js";

const count = /** @type {HTMLElement} */ (document.getElementById("count"));
const undo = /** @type {HTMLButtonElement | null} */ (document.getElementById("undo"));
const selection = new Selection();
/** @type {Set<number>} */
let painted = new Set();
/** Corrections go out one after the other, in the order in which they were given. */
const turns = new Turns(complain);

function paint() {
  for (const at of painted) if (!selection.chosen.has(at)) cards[at]?.setAttribute("aria-selected", "false");
  for (const at of selection.chosen) if (!painted.has(at)) cards[at]?.setAttribute("aria-selected", "true");
  painted = new Set(selection.chosen);
  grid?.querySelector(".active")?.classList.remove("active");
  const active = cards[selection.active];
  active?.classList.add("active");
  if (active) grid?.setAttribute("aria-activedescendant", active.id);
  count.textContent = `${selection.chosen.size} selected`;
}

/** @param {number} at */
function bring(at) {
  cards[at]?.scrollIntoView({ block: "nearest" });
  if (at >= cards.length - 20) loadMore();
}

// --- selecting

grid?.addEventListener("click", (event) => {
  const card = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".card"));
  if (!card) return;
  const at = [...cards].indexOf(card);
  if (event.shiftKey) selection.extend(at);
  else selection.toggle(at);
  paint();
});

grid?.addEventListener("dblclick", (event) => {
  const card = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".card"));
  if (card) open([...cards].indexOf(card));
});

// As links do: a card is none, for whoever listens would hear both.
grid?.addEventListener("auxclick", (event) => {
  const card = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".card"));
  if (card && event.button === 1) window.open(addressOf(card), "_blank", "noopener");
});

// Shift-click would mark text as well, and the middle button scroll.
grid?.addEventListener("mousedown", (event) => {
  if (event.shiftKey || event.button === 1) event.preventDefault();
  grid?.focus({ preventScroll: true });
});

document.addEventListener("keydown", (event) => {
  const focused = document.activeElement;
  const elsewhere = focused !== grid && focused !== document.body && focused?.id !== "main";
  if (!grid || isTyping(focused, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") || (elsewhere && !event.key.startsWith("Arrow"))) return;
  if (event.key === " ") {
    if (selection.active < 0) selection.active = 0;
    selection.toggle(selection.active);
  } else {
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const to = arrow(event.key, selection.active, columns, cards.length);
    if (to === null) return;
    selection.go(to, cards.length, event.shiftKey);
  }
  event.preventDefault();
  grid.focus({ preventScroll: true });
  paint();
  bring(selection.active);
});

document.getElementById("all")?.addEventListener("click", () => {
  selection.all(cards.length);
  paint();
});
document.getElementById("clear")?.addEventListener("click", () => {
  selection.clear();
  paint();
});
document.getElementById("open")?.addEventListener("click", () => {
  const [first] = selection.meant();
  if (first === undefined) say("No picture is selected.", "bad");
  else open(first);
});

/**
 * The page of a picture, for the advertiser whose it is here.
 * @param {HTMLElement} card
 */
const addressOf = ({ dataset }) => `/images/${dataset.image}?for=${encodeURIComponent(dataset.advertiser ?? "")}`;

/**
 * Opens a picture's page; who comes back is where they were.
 * @param {number} at
 */
function open(at) {
  const card = cards[at];
  const chosen = [...selection.chosen].map((at) => cards[at].id);
  turns.leave(() => {
    history.replaceState({ chosen }, "", `#${card.id}`);
    location.assign(addressOf(card));
  });
}

waitBeforeLeaving(turns);

// --- correcting

// Letters go to the pictures again, once the mouse has chosen for whom they are; whoever chooses with letters is not
// interrupted by the first.
const scope = document.getElementById("scope");
let byMouse = false;
scope?.addEventListener("pointerdown", () => (byMouse = true));
scope?.addEventListener("keydown", () => (byMouse = false));
scope?.addEventListener("change", () => byMouse && grid?.focus({ preventScroll: true }));

let attribute = /** @type {HTMLElement | null} */ (document.querySelector("[data-attribute]"))?.dataset.attribute ?? "";

for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-attribute]"))) {
  button.addEventListener("click", () => {
    attribute = button.dataset.attribute ?? "";
    for (const other of document.querySelectorAll("[data-attribute]")) other.setAttribute("aria-pressed", String(other === button));
    for (const values of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-of]"))) values.hidden = values.dataset.of !== attribute;
  });
}

for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-value]"))) {
  button.addEventListener("click", () => correct({ set: JSON.parse(button.dataset.value ?? "null") }));
}
for (const button of document.querySelectorAll("[data-withdraw]")) {
  button.addEventListener("click", () => correct("withdraw"));
}

/** @param {{set: string | null} | "withdraw"} verdict */
function correct(verdict) {
  const meant = selection.meant().map((at) => cards[at].id);
  const about = attribute;
  const everyone = /** @type {HTMLSelectElement} */ (document.getElementById("scope")).value === "everyone";
  if (!meant.length) return say("Select a picture first.", "bad");
  if (meant.length > MOST) return say(`At most ${MOST} pictures are corrected at once.`, "bad");
  turns.take(async () => {
    // As they are now: a correction before this one has given them other versions.
    const shown = meant.map((id) => /** @type {HTMLElement} */ (document.getElementById(id)).dataset);
    const seen = shown.map((data) => ({ image: data.image ?? "", version: data.version ?? "", advertiser: data.advertiser ?? "" }));
    const value = verdict === "withdraw" ? "withdrawn" : `${verdict.set ?? "null"}`;
    /** @type {import("./corrections.js").Entry[]} */
    const entries = [];
    /** @type {string[]} */
    const left = [];
    /** @type {Refused | null} */
    let why = null;
    for (const { scope, images } of requests(seen, everyone)) {
      /** @type {import("./corrections.js").Entry[] | Refused} */
      const answer = why && !isAboutPictures(why.status) ? why : await written("/v1/fixes/bulk", { images, attribute: about, verdict, scope });
      if (answer instanceof Refused) {
        why = answer;
        left.push(scope === "everyone" ? scope : scope.advertiser);
      } else entries.push(...answer);
    }
    const warning = entries.length ? keep([...undoable.all, entries]) : "";
    // Also what was refused may be another by now.
    const drawn = await refresh(seen.map((picture) => picture.image)).catch(refused);
    why ??= drawn ?? null;
    if (why) throw new Error(`${toldInPart(about, value, entries.length, left, why)} ${warning}`.trim());
    say(`${told(about, value, entries.length)} ${warning}`.trim());
  });
}

/** @param {unknown} error */
const refused = (error) => (error instanceof Refused ? error : new Refused(0, { detail: String(error) }));

/**
 * Writes one request of a correction, or undoes one: its entries in the history, or why there are none.
 * @param {string} path
 * @param {object} body
 * @returns {Promise<import("./corrections.js").Entry[] | Refused>}
 */
async function written(path, body) {
  try {
    const response = await ask("POST", path, { body });
    return (await response.json()).entries;
  } catch (error) {
    return refused(error);
  }
}

// --- undoing

const person = document.querySelector('meta[name="person"]')?.getAttribute("content") ?? "";
const undoable = new Undoable(sessionStorage, person);

/**
 * @param {import("./corrections.js").Entry[][]} all
 * @returns {string} what is to be said of it, if anything
 */
function keep(all) {
  if (undo) undo.disabled = !all.length;
  return undoable.keep(all);
}

undo?.addEventListener("click", () =>
  turns.take(async () => {
    const { all } = undoable;
    const last = all.pop();
    if (!last) return;
    const undone = await written("/v1/fixes/undo", { entries: last.map((entry) => entry.id) });
    // What fails for a moment may go well the next time.
    if (undone instanceof Refused && !isPastUndoing(undone.status)) throw undone;
    // What cannot be undone later either does not stand before what can; the pictures are shown as they are now.
    keep(all);
    const drawn = await refresh(last.map((entry) => entry.image_id)).catch(refused);
    if (undone instanceof Refused) throw undone;
    if (drawn) throw drawn;
    say(`Undone: ${pictures(undone.length)}.`);
  }),
);
keep(undoable.all);

// On a small screen the filter is in the way.
const filters = /** @type {HTMLDetailsElement | null} */ (document.querySelector("details.filters"));
if (filters && matchMedia("(max-width: 46rem)").matches) filters.open = false;

/**
 * Who comes back from a picture is where they were: at the card that the address names, with what was selected.
 * @param {string} id
 */
async function comeBack(id) {
  if (!placeOf(id)) return;
  /** @type {string[]} */
  const chosen = history.state?.chosen ?? [];
  await loadUntil(chosen.reduce((last, other) => (comesBefore(last, other) ? other : last), id));
  // Or somewhere else, by now.
  if (selection.active >= 0 || selection.chosen.size) return;
  const ids = [...cards].map((card) => card.id);
  const at = ids.findIndex((other) => !comesBefore(other, id));
  if (at < 0) return;
  const again = new Set(chosen);
  ids.forEach((other, at) => again.has(other) && selection.chosen.add(at));
  selection.go(at, cards.length, false);
  // What is selected now is told by the page, and no longer by where somebody came from.
  history.replaceState(null, "");
  paint();
  bring(at);
}
comeBack(location.hash.slice(1));
