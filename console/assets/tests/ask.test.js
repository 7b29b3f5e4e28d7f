import assert from "node:assert/strict";
import { test } from "node:test";

import { leaveWord } from "../ask.js";

test("what was done goes on where a tab has no place left for a word about it", () => {
  const setItem = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  Object.defineProperty(globalThis, "sessionStorage", { value: { setItem }, configurable: true });
  leaveWord("Messages dropped: 3.");
});
