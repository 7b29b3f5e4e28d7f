// @ts-check
// What every page can do: keys, the list of keys, dark and light, and buttons that send something.

import { ask, complain, leaveWord, sayWhatWasLeft } from "./ask.js";
import { isTyping, nameOf, Sequence } from "./keys.js";

const sequence = new Sequence();

/** What can be pressed now: of an open dialog only what is in it. */
function pressable() {
  const within = document.querySelector("dialog[open]") ?? document;
  return [.../** @type {NodeListOf<HTMLElement>} */ (within.querySelectorAll("[data-key]"))].filter(
    (element) => !element.matches(":disabled, [inert] *") && element.checkVisibility(),
  );
}

document.addEventListener("keydown", (event) => {
  const key = nameOf(event);
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  if (event.defaultPrevented || event.isComposing || isTyping(focused, key)) return;
  // A field gives the focus back, and nothing else: what is selected stays so.
  if (key === "Escape" && focused?.matches("input, select, textarea")) return focused.blur();
  // What has the focus is pressed by these itself.
  if (["Enter", "Space"].includes(key) && focused?.matches("a[href], button, summary")) return;
  const elements = pressable();
  const known = (/** @type {string} */ keys) => elements.some((element) => element.dataset.key === keys);
  const begins = (/** @type {string} */ first) => elements.some((element) => element.dataset.key?.startsWith(`${first} `));
  const pressed = sequence.press(key, event.timeStamp, known, begins);
  const element = elements.find((element) => element.dataset.key === pressed);
  if (!element) return;
  event.preventDefault();
  if (element.matches("input, select, textarea")) element.focus();
  else element.click();
});

// The list of keys is made of what is on the page, so it cannot be wrong.
document.getElementById("help")?.addEventListener("click", () => {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("keys"));
  const told = new Set();
  const lines = pressable().flatMap((element) => {
    const key = element.dataset.key ?? "";
    if (told.has(key)) return [];
    told.add(key);
    return [line(key, nameFor(element))];
  });
  for (const more of document.querySelectorAll("template[data-keys]")) {
    for (const row of /** @type {HTMLTemplateElement} */ (more).content.querySelectorAll("tr")) {
      const [key, what] = [...row.cells].map((cell) => cell.textContent ?? "");
      lines.push(line(key, what));
    }
  }
  dialog.querySelector("dl")?.replaceChildren(...lines);
  dialog.showModal();
  // Its only button has the focus, below all of them.
  dialog.scrollTop = 0;
});

/**
 * @param {string} keys
 * @param {string} what
 */
function line(keys, what) {
  const [pair, term, description] = ["div", "dt", "dd"].map((name) => document.createElement(name));
  term.append(
    ...keys.split(" ").map((key) => {
      const shown = document.createElement("kbd");
      shown.textContent = key;
      return shown;
    }),
  );
  description.textContent = what;
  pair.append(term, description);
  return pair;
}

/** @param {HTMLElement} element */
function nameFor(element) {
  const label = /** @type {HTMLInputElement} */ (element).labels?.[0]?.firstChild?.textContent;
  return (element.getAttribute("title") ?? element.getAttribute("aria-label") ?? label ?? element.textContent ?? "").trim();
}

document.getElementById("theme")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// `data-send="POST /v1/…"` sends `data-body`, having asked `data-confirm`; then the page is loaded anew, or
// another (`data-then`), which says `data-said`, with what was answered in place of `{name}`. Whose login has ended
// is shown to the next one, or to `data-ended`.
document.addEventListener("click", async (event) => {
  const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-send]"));
  if (!button) return;
  const { send = "", body, seen, confirm: question, then, said, ended } = button.dataset;
  if (question && !confirm(question)) return;
  const [method, path] = send.split(" ");
  button.setAttribute("disabled", "");
  try {
    const response = await ask(method, path, { body: body ? JSON.parse(body) : undefined, seen, ended });
    if (said) {
      const answer = await response.json();
      leaveWord(said.replace(/\{(\w+)\}/g, (_, name) => String(answer[name])));
    }
    if (then) location.assign(then);
    else location.reload();
  } catch (error) {
    complain(error);
    button.removeAttribute("disabled");
  }
});

sayWhatWasLeft();

// A filter is asked for by its address. Sent as a form it would be held up where the login has ended: the policy of our pages lets no
// form lead to another site, and the login's is one.
document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (event.defaultPrevented || !form.matches("form.filter")) return;
  event.preventDefault();
  const wanted = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) wanted.append(name, String(value));
  location.assign(wanted.size ? `${form.action}?${wanted}` : form.action);
});

// Rows that lead somewhere or do something: j and k go from one to the next, Enter presses.
document.addEventListener("keydown", (event) => {
  const step = { j: 1, k: -1 }[nameOf(event)];
  if (!step || isTyping(document.activeElement, event.key) || document.querySelector("dialog[open]")) return;
  const rows = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-row]"))];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
  rows[next].focus();
});
