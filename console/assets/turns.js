// @ts-check
// Deeds one after the other, in the order in which they were given. Without a page, so that it can be tested
// without one.

export class Turns {
  /** @type {Promise<void>} */
  #last = Promise.resolve();
  #failures = 0;
  /** Deeds that are not done yet. */
  waiting = 0;

  /** @param {(error: unknown) => void} complain told of what fails; what comes after it is done all the same */
  constructor(complain) {
    this.complain = complain;
  }

  /**
   * Does this when all before it is done.
   * @param {() => Promise<void>} deed
   */
  take(deed) {
    this.waiting++;
    return this.#then(() => deed().finally(() => this.waiting--));
  }

  /**
   * Leaves when all is done; not if some of it fails, for that is to be read.
   * @param {() => void} go
   */
  leave(go) {
    const failures = this.#failures;
    return this.#then(async () => {
      if (this.#failures === failures) go();
    });
  }

  /** @param {() => Promise<void>} step */
  #then(step) {
    this.#last = this.#last.then(step).catch((error) => {
      this.#failures++;
      this.complain(error);
    });
    return this.#last;
  }
}
