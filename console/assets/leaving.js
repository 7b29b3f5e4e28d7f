// @ts-check
// Whoever leaves a page throws away what waits for its turn there.

import { isOnItsWayToTheLogin, say } from "./ask.js";

const WAITS = "You leave when what you corrected is written.";

/**
 * Has a link wait its turn too; and where somebody leaves without one (a page that is loaded anew or closed) the
 * browser asks.
 * @param {import("./turns.js").Turns} turns
 */
export function waitBeforeLeaving(turns) {
  document.addEventListener(
    "click",
    (event) => {
      const away = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("a[href]:not(#more), [data-send]"));
      if (!away || !turns.waiting || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      say(WAITS);
      turns.leave(() => away.click());
    },
    true,
  );
  document.querySelector("form.filter")?.addEventListener("submit", (event) => {
    if (!turns.waiting) return;
    event.preventDefault();
    say(WAITS);
    turns.leave(() => /** @type {HTMLFormElement} */ (event.target).requestSubmit());
  });
  addEventListener("beforeunload", (event) => {
    if (turns.waiting && !isOnItsWayToTheLogin()) event.preventDefault();
  });
}
