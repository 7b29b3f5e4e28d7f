// @ts-check
// What came of a correction, in words, and what of it can be undone. Without a page, so that it can be tested
// without one.

/** @param {number} n */
export const pictures = (n) => (n === 1 ? "1 picture" : `${n} pictures`);

/**
 * What came of a correction of which nothing failed.
 * @param {string} attribute
 * @param {string} value
 * @param {number} done pictures
 */
export const told = (attribute, value, done) =>
  done ? `${attribute}: ${value}, ${pictures(done)}.` : `${attribute}: nothing to change.`;

/**
 * What came of a correction of which some failed, if only that the pictures could not be drawn anew: what was done stands first, for the rest says that nothing
 * was.
 * @param {string} attribute
 * @param {string} value
 * @param {number} done pictures
 * @param {string[]} left the advertisers for whose pictures it was not done
 * @param {{status: number, message: string}} why
 */
export function toldInPart(attribute, value, done, left, why) {
  if (!done) return why.message;
  if (!left.length) return `${told(attribute, value, done)} But they are shown as they were. ${why.message}`;
  const reason = why.status === 409 ? "They have changed since you saw them, and are shown as they are now." : why.message;
  return `${attribute}: ${value}, ${pictures(done)}; but not those of ${left.join(", ")}. ${reason}`;
}

/**
 * Whether another advertiser's pictures may be corrected after such an answer: it is about pictures, and not
 * about the console or who asks.
 * @param {number} status
 */
export const isAboutPictures = (status) => [404, 409].includes(status);

/**
 * Whether what such an answer kept from being undone cannot be undone later either: somebody has corrected it since, or
 * what held before is no value any more.
 * @param {number} status
 */
export const isPastUndoing = (status) => isAboutPictures(status) || status === 422;

/** Longest address that draws cards anew: proxies refuse what is longer than 8 KiB, with all around it. */
const LONGEST = 6000;

/**
 * Where these places of the grid are drawn anew.
 * @param {string[]} places
 * @returns {string[]} of each some
 */
export function addresses(places) {
  /** @type {string[]} */
  const all = [];
  for (const place of places) {
    const last = all.at(-1);
    if (last && last.length + 1 + place.length <= LONGEST) all[all.length - 1] = `${last},${place}`;
    else all.push(`/images/cards?places=${place}`);
  }
  return all;
}

/** @typedef {{id: number, image_id: string}} Entry an entry of the history, as a correction gave it */

/** Corrections that can be undone at most. */
const MOST_KEPT = 50;

/** What somebody has corrected in this tab, also after the page was loaded anew: theirs, and nobody else's. */
export class Undoable {
  #store;
  #key;
  /** @type {Entry[][] | null} what the store of this tab has no place for: this page knows it still, and no other */
  #here = null;

  /**
   * @param {Pick<Storage, "getItem" | "setItem">} store
   * @param {string} person who looks at the page: a tab outlives a log-out
   */
  constructor(store, person) {
    this.#store = store;
    this.#key = `entries of ${person}`;
  }

  /**
   * The entries of each correction, the last at the end.
   * @returns {Entry[][]}
   */
  get all() {
    return this.#here ? [...this.#here] : JSON.parse(this.#store.getItem(this.#key) ?? "[]");
  }

  /**
   * Keeps the last fifty: for the next page the last of these that the store has place for, and for this one all.
   * @param {Entry[][]} all
   * @returns {string} what is to be said of those that the next page will not know, if there are any
   */
  keep(all) {
    const last = all.slice(-MOST_KEPT);
    const texts = last.map((entries) => JSON.stringify(entries));
    let lost = 0;
    while (lost <= last.length && !this.#write(`[${texts.slice(lost).join(",")}]`)) lost++;
    this.#here = lost ? last : null;
    const kept = Math.max(last.length - lost, 0);
    return kept < last.length ? forgotten(kept) : "";
  }

  /**
   * @param {string} text
   * @returns {boolean} whether there was place for it
   */
  #write(text) {
    try {
      this.#store.setItem(this.#key, text);
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * What is said where not all corrections can be undone later.
 * @param {number} kept how many can
 */
function forgotten(kept) {
  const which = kept ? `only the last ${kept === 1 ? "one" : kept} of your corrections` : "none of your corrections";
  return `This tab has no place to remember more: once you leave this page, ${which} can be undone.`;
}
