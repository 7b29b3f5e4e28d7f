import assert from "node:assert/strict";
import { test } from "node:test";

import { isTyping, nameOf, Sequence } from "../keys.js";

test("a key has one name, however it is typed", () => {
  assert.equal(nameOf({ key: " " }), "Space");
  assert.equal(nameOf({ key: "A" }), "a"); // caps lock
  assert.equal(nameOf({ key: "?", shiftKey: true }), "?");
  assert.equal(nameOf({ key: "z", ctrlKey: true }), "Control+z");
  assert.equal(nameOf({ key: "z", metaKey: true }), "Control+z");
  assert.equal(nameOf({ key: "ArrowUp", shiftKey: true }), "Shift+ArrowUp");
});

const known = (keys) => ["g s", "s", "g"].includes(keys);
const begins = (first) => first === "g";

test("two keys in a row mean something else than each of them", () => {
  const sequence = new Sequence();
  assert.equal(sequence.press("s", 0, known, begins), "s");
  assert.equal(sequence.press("g", 10, known, begins), null);
  assert.equal(sequence.press("s", 20, known, begins), "g s");
  assert.equal(sequence.press("s", 30, known, begins), "s");
});

test("the first of two keys is forgotten after a while", () => {
  const sequence = new Sequence();
  sequence.press("g", 0, known, begins);
  assert.equal(sequence.press("s", 2000, known, begins), "s");
});

test("an unknown key after the first is nothing", () => {
  const sequence = new Sequence();
  sequence.press("g", 0, known, begins);
  assert.equal(sequence.press("x", 10, known, begins), null);
});

test("keys in a field are text, but for Escape and Control+Enter", () => {
  const element = (nodeName, type = "text") => ({ nodeName, type });
  assert.equal(isTyping(element("INPUT"), "a"), true);
  assert.equal(isTyping(element("TEXTAREA"), "a"), true);
  assert.equal(isTyping(element("SELECT"), "a"), true);
  assert.equal(isTyping(element("INPUT"), "Escape"), false);
  assert.equal(isTyping(element("SELECT"), "Control+Enter"), false);
  assert.equal(isTyping(element("INPUT"), "Control+z"), true);
  assert.equal(isTyping(element("INPUT", "checkbox"), "a"), false);
  assert.equal(isTyping(element("BUTTON"), "a"), false);
  assert.equal(isTyping(null, "a"), false);
});
