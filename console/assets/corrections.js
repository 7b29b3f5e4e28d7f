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

/** What somebody has corrected in this tab, also after the page was loaded anew: theirs, and nobody else's. */
export class Undoable {
  #store;
  #key;

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
    return JSON.parse(this.#store.getItem(this.#key) ?? "[]");
  }

  /** @param {Entry[][]} all of which the last fifty are kept */
  set all(all) {
    this.#store.setItem(this.#key, JSON.stringify(all.slice(-50)));
  }
}
