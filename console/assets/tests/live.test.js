import assert from "node:assert/strict";
import { test } from "node:test";

// As much of a browser as it takes.

/** The last one at the end. */
const streams = [];

class Stream extends EventTarget {
  static CLOSED = 2;
  readyState = 1;

  constructor() {
    super();
    streams.push(this);
  }

  close() {
    this.readyState = Stream.CLOSED;
  }

  /**
   * @param {string} event
   * @param {string} [data]
   */
  send(event, data) {
    this.dispatchEvent(Object.assign(new Event(event), { data }));
  }
}

const element = () => ({
  innerHTML: "",
  textContent: "",
  setAttribute() {},
  get content() {
    return this.innerHTML;
  },
});

const part = {
  dataset: { live: "/live/scrapes/s" },
  innerHTML: "0 of 2",
  said: element(),
  before(said) {
    this.said = said;
  },
  contains: () => false,
  querySelectorAll: () => [],
  replaceChildren(drawn) {
    this.innerHTML = drawn;
  },
};

let now = 0;
let last = 0;
const timers = new Map();

/** @param {number} ms */
function pass(ms) {
  now += ms;
  for (const [id, { go, at }] of timers) if (at <= now && timers.delete(id)) go();
}

Object.assign(globalThis, {
  EventSource: Stream,
  document: { hidden: false, querySelectorAll: () => [part], createElement: element, addEventListener() {} },
  setTimeout: (go, after) => {
    timers.set(++last, { go, at: now + after });
    return last;
  },
  clearTimeout: (id) => void timers.delete(id),
});
await import("../live.js");

test("a stream that is lost without a word is asked for again, and what it tells then is shown", () => {
  const [first] = streams;
  first.send("open");
  first.send("part", "1 of 2");
  assert.deepEqual([part.innerHTML, part.said.textContent], ["1 of 2", ""]);
  pass(20_000);
  // It has ended, and the browser has come again by itself.
  first.send("open");
  pass(29_999);
  assert.equal(streams.length, 1);

  pass(1);
  assert.equal(first.readyState, Stream.CLOSED);
  assert.match(part.said.textContent, /^Not live since \d\d:\d\d UTC: the page asks again by itself\.$/);
  const [, second] = streams;
  second.send("open");
  second.send("part", "2 of 2");
  assert.deepEqual([part.innerHTML, part.said.textContent], ["2 of 2", ""]);
});

test("what has ended is not asked for again", () => {
  const stream = streams.at(-1);
  stream.send("end", "tagged");
  assert.deepEqual([part.innerHTML, stream.readyState], ["tagged", Stream.CLOSED]);
  pass(3_600_000);
  assert.equal(streams.length, 2);
});
