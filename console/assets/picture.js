// @ts-check
// A picture's page: one correction.

import { ask, complain } from "./ask.js";

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("fix"));

form?.addEventListener("submit", (event) => event.preventDefault());

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-fix]"))) {
  button.addEventListener("click", async () => {
    if (!form) return;
    const fields = new FormData(form);
    const attribute = button.dataset.fix ?? "";
    const scope = /** @type {HTMLSelectElement} */ (form.elements.namedItem("scope"));
    const everyone = scope.selectedOptions[0]?.hasAttribute("data-everyone");
    const body = {
      attribute,
      value: JSON.parse(String(fields.get(attribute))),
      scope: everyone ? "everyone" : { advertiser: scope.value },
      note: String(fields.get("note")) || null,
    };
    button.disabled = true;
    try {
      await ask("POST", `/v1/images/${form.dataset.image}/fixes`, { body, seen: form.dataset.version });
      location.reload();
    } catch (error) {
      complain(error);
      button.disabled = false;
    }
  });
}
