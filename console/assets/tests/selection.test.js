import assert from "node:assert/strict";
import { test } from "node:test";

import { arrow, comesBefore, placeOf, requests, Selection } from "../selection.js";

test("a click selects, and another one does not any more", () => {
  const selection = new Selection();
  selection.toggle(3);
  selection.toggle(5);
  assert.deepEqual(selection.meant(), [3, 5]);
  selection.toggle(3);
  assert.deepEqual(selection.meant(), [5]);
});

test("a shift-click selects everything between", () => {
  const selection = new Selection();
  selection.toggle(7);
  selection.extend(4);
  assert.deepEqual(selection.meant(), [4, 5, 6, 7]);
  selection.extend(9);
  assert.deepEqual(selection.meant(), [4, 5, 6, 7, 8, 9]);
});

test("shift and arrows select on the way", () => {
  const selection = new Selection();
  selection.go(2, 10, false);
  selection.go(3, 10, true);
  selection.go(4, 10, true);
  assert.deepEqual(selection.meant(), [2, 3, 4]);
  selection.go(99, 10, false);
  assert.equal(selection.active, 9);
});

test("what is at hand is meant where nothing is selected", () => {
  const selection = new Selection();
  assert.deepEqual(selection.meant(), []);
  selection.go(0, 5, false);
  assert.deepEqual(selection.meant(), [0]);
  selection.all(3);
  assert.deepEqual(selection.meant(), [0, 1, 2]);
  selection.clear();
  assert.deepEqual(selection.meant(), [0]);
});

test("arrows stay within the grid", () => {
  assert.equal(arrow("ArrowDown", 1, 4, 6), 5);
  assert.equal(arrow("ArrowDown", 3, 4, 6), 3);
  assert.equal(arrow("ArrowUp", 1, 4, 6), 1);
  assert.equal(arrow("ArrowUp", 5, 4, 6), 1);
  assert.equal(arrow("ArrowDown", -1, 4, 6), 0);
  assert.equal(arrow("End", 0, 4, 6), 5);
  assert.equal(arrow("a", 0, 4, 6), null);
});

const picture = (image, advertiser, version = "0.0") => ({ image, version, advertiser });

test("each advertiser's pictures are one request, and everyone's are one", () => {
  const pictures = [picture("1", "north"), picture("2", "south"), picture("3", "north")];
  assert.deepEqual(requests(pictures, false), [
    { scope: { advertiser: "north" }, images: [{ image_id: "1", version: "0.0" }, { image_id: "3", version: "0.0" }] },
    { scope: { advertiser: "south" }, images: [{ image_id: "2", version: "0.0" }] },
  ]);
  assert.equal(requests(pictures, true).length, 1);
  assert.equal(requests(pictures, true)[0].scope, "everyone");
});

test("a picture that is listed twice is corrected once", () => {
  assert.equal(requests([picture("1", "north"), picture("1", "north")], false)[0].images.length, 1);
});

test("the cards of the newest scrape come first, each in the order of its inventory", () => {
  assert.deepEqual(placeOf("at-12-5"), [12, 5]);
  assert.equal(placeOf("main"), null);
  assert.equal(comesBefore("at-12-5", "at-12-6"), true);
  assert.equal(comesBefore("at-12-6", "at-12-5"), false);
  assert.equal(comesBefore("at-12-6", "at-11-5"), true);
  assert.equal(comesBefore("at-9-0", "at-11-5"), false);
  assert.equal(comesBefore("at-12-5", "at-12-5"), false);
});
