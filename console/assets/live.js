// @ts-check
// Parts of a page that change by themselves: `data-live` says where the server sends them.

for (const part of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-live]"))) {
  const source = new EventSource(part.dataset.live ?? "");
  source.addEventListener("part", (event) => show(part, event.data));
  source.addEventListener("end", (event) => {
    source.close();
    show(part, event.data);
    part.dataset.ended = "";
  });
}

/**
 * Draws a part anew; what had the focus has it still.
 * @param {HTMLElement} part
 * @param {string} html as our own templates drew it
 */
function show(part, html) {
  const focused = part.contains(document.activeElement) ? document.activeElement?.id : "";
  part.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus();
}
