// @ts-check
// Which pictures of a grid are selected, and which one is at hand: by their places in the list, from 0.
// Without a page, so that it can be tested without one.

export class Selection {
  /** @type {Set<number>} */
  chosen = new Set();
  /** The picture at hand; -1: none. */
  active = -1;
  /** Where a range begins. */
  #anchor = -1;

  /**
   * Selects a picture, or not any more.
   * @param {number} at
   */
  toggle(at) {
    if (!this.chosen.delete(at)) this.chosen.add(at);
    this.active = this.#anchor = at;
  }

  /**
   * Selects everything from where the last range or click began to here.
   * @param {number} to
   */
  extend(to) {
    const from = this.#anchor < 0 ? to : this.#anchor;
    for (let at = Math.min(from, to); at <= Math.max(from, to); at++) this.chosen.add(at);
    this.#anchor = from;
    this.active = to;
  }

  /**
   * Goes to another picture; with `extending` all on the way are selected.
   * @param {number} to
   * @param {number} count of pictures
   * @param {boolean} extending
   */
  go(to, count, extending) {
    if (count === 0) return;
    const at = Math.min(Math.max(to, 0), count - 1);
    if (extending) {
      if (this.#anchor < 0) this.#anchor = Math.max(this.active, 0);
      this.extend(at);
    } else {
      this.active = this.#anchor = at;
    }
  }

  /** @param {number} count of pictures */
  all(count) {
    this.chosen = new Set(Array.from({ length: count }, (_, at) => at));
  }

  clear() {
    this.chosen.clear();
    this.#anchor = this.active;
  }

  /** What a correction is about: what is selected, or else what is at hand. In the order of the grid. */
  meant() {
    if (this.chosen.size) return [...this.chosen].sort((a, b) => a - b);
    return this.active < 0 ? [] : [this.active];
  }
}

/**
 * Where an arrow leads.
 * @param {string} key
 * @param {number} at
 * @param {number} columns of the grid
 * @param {number} count of pictures
 * @returns {number | null} null: no such key
 */
export function arrow(key, at, columns, count) {
  switch (key) {
    case "ArrowLeft":
      return at - 1;
    case "ArrowRight":
      return at + 1;
    case "ArrowUp":
      return at - columns < 0 ? at : at - columns;
    case "ArrowDown":
      return at < 0 ? 0 : at + columns >= count ? at : at + columns;
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}

/** Most pictures of one request. */
export const MOST = 1000;

/**
 * The requests of one correction: one for everyone, or one for each advertiser; each is done whole or not
 * at all. A picture that is listed several times is corrected once.
 * @param {{image: string, version: string, advertiser: string}[]} pictures
 * @param {boolean} everyone
 * @returns {{scope: "everyone" | {advertiser: string}, images: {image_id: string, version: string}[]}[]}
 */
export function requests(pictures, everyone) {
  /** @type {Map<string, Map<string, string>>} */
  const groups = new Map();
  for (const { image, version, advertiser } of pictures) {
    const group = everyone ? "" : advertiser;
    if (!groups.has(group)) groups.set(group, new Map());
    groups.get(group)?.set(image, version);
  }
  return [...groups].map(([advertiser, images]) => ({
    scope: everyone ? "everyone" : { advertiser },
    images: [...images].map(([image_id, version]) => ({ image_id, version })),
  }));
}

/**
 * The place in the grid of the card with this id: its scrape, and where it is in the inventory.
 * @param {string} id
 * @returns {[number, number] | null} null: no card's
 */
export function placeOf(id) {
  const [, scrape, seq] = /^at-(\d+)-(\d+)$/.exec(id) ?? [];
  return seq === undefined ? null : [Number(scrape), Number(seq)];
}

/**
 * Whether a card comes before another: the newest scrape is first, each in the order of its inventory.
 * @param {string} id
 * @param {string} other
 */
export function comesBefore(id, other) {
  const [a, b] = [placeOf(id), placeOf(other)];
  return !!a && !!b && (a[0] > b[0] || (a[0] === b[0] && a[1] < b[1]));
}
