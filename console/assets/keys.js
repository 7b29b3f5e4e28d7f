// @ts-check
// Which key does what. Every element with `data-key` is pressed by its key: a character ("?"), a name
// ("Escape"), one with modifiers ("Control+z"), or two in a row ("g s").

/** How long the first of two keys is remembered, in ms. */
const PATIENCE = 1500;

/**
 * The name of a pressed key. Shift is not told where it only makes another character.
 * @param {{key: string, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean, shiftKey?: boolean}} event
 */
export function nameOf(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 && !event.shiftKey ? event.key.toLowerCase() : event.key;
  const control = event.ctrlKey || event.metaKey ? "Control+" : "";
  const alt = event.altKey ? "Alt+" : "";
  const shift = event.shiftKey && key.length > 1 ? "Shift+" : "";
  return control + alt + shift + key;
}

/** Puts two keys in a row together. */
export class Sequence {
  /** @type {{first: string, at: number} | null} */
  #begun = null;

  /**
   * What was pressed, now that `key` is: the keys of which something is known, the longest first.
   * @param {string} key
   * @param {number} now in ms
   * @param {(keys: string) => boolean} known whether these keys do something
   * @param {(first: string) => boolean} begins whether something begins with this key
   * @returns {string | null}
   */
  press(key, now, known, begins) {
    const begun = this.#begun;
    this.#begun = null;
    if (begun && now - begun.at < PATIENCE && known(`${begun.first} ${key}`)) return `${begun.first} ${key}`;
    if (begins(key)) {
      this.#begun = { first: key, at: now };
      return null;
    }
    return known(key) ? key : null;
  }
}

/**
 * Whether a key belongs to what has the focus, as in a field of text.
 * @param {Element | null} focused
 * @param {string} key
 */
export function isTyping(focused, key) {
  if (!focused || key === "Escape" || key === "Control+Enter") return false;
  const name = focused.nodeName;
  if (name === "TEXTAREA" || name === "SELECT") return true;
  if (name !== "INPUT") return false;
  return !["checkbox", "radio", "button", "submit"].includes(/** @type {HTMLInputElement} */ (focused).type);
}
