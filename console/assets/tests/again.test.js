import assert from "node:assert/strict";
import { test } from "node:test";

import { isFinal, notLive, pause } from "../again.js";

test("it is asked again after 2 s, 4 s, and 30 s at most", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 50].map(pause), [2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

test("what fails for a moment is asked again, and what is refused is not", () => {
  assert.deepEqual([0, 200, 429, 500, 502, 503].filter(isFinal), []);
  assert.deepEqual([401, 403, 404].filter(isFinal), [401, 403, 404]);
});

test("it is told since when a part stands still, and what to do", () => {
  const at = new Date("2026-08-01T14:05:59Z");
  assert.equal(notLive(at, false), "Not live since 14:05 UTC: the page asks again by itself.");
  assert.equal(notLive(at, true), "Not live since 14:05 UTC: load the page again.");
});
