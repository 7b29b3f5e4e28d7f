// @ts-check
// When to ask a server again that did not answer. Without a page, so that it can be tested without one.

/**
 * How long to wait after so many failures in a row, in ms: 2 s, 4 s, … and 30 s at most.
 * @param {number} failures from 1
 */
export const pause = (failures) => Math.min(1000 * 2 ** failures, 30_000);

/**
 * Whether asking again will not help: a login has ended, what was asked for is gone.
 * @param {number} status 0: nobody answered
 */
export const isFinal = (status) => status >= 400 && status < 500 && status !== 429;

/**
 * What is said of a part that does not follow any more.
 * @param {Date} since
 * @param {boolean} final whether it is not asked for again
 */
export function notLive(since, final) {
  const what = final ? "load the page again" : "the page asks again by itself";
  return `Not live since ${since.toISOString().slice(11, 16)} UTC: ${what}.`;
}
