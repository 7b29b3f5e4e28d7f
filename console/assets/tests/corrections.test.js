import assert from "node:assert/strict";
import { test } from "node:test";

import { addresses, isAboutPictures, isPastUndoing, told, toldInPart, Undoable } from "../corrections.js";

test("a correction says what was done", () => {
  assert.equal(told("color", "red", 2), "color: red, 2 pictures.");
  assert.equal(told("color", "withdrawn", 0), "color: nothing to change.");
});

test("a correction that was done in part says what was, and for whom it was not", () => {
  const changed = { status: 409, message: "Changed since you saw it: 7; nothing was written. Look again." };
  assert.equal(
    toldInPart("color", "red", 3, ["south", "west"], changed),
    "color: red, 3 pictures; but not those of south, west. They have changed since you saw them, and are shown as they are now.",
  );
  const away = { status: 0, message: "The console does not answer. Try again in a moment." };
  assert.equal(
    toldInPart("color", "red", 1, ["south"], away),
    "color: red, 1 picture; but not those of south. The console does not answer. Try again in a moment.",
  );
  assert.equal(
    toldInPart("color", "red", 1, [], away),
    "color: red, 1 picture. But they are shown as they were. The console does not answer. Try again in a moment.",
  );
  assert.equal(toldInPart("color", "red", 0, ["south"], changed), changed.message);
});

test("one advertiser's changed pictures do not keep another's from being corrected", () => {
  assert.deepEqual([0, 401, 404, 409, 429, 503].filter(isAboutPictures), [404, 409]);
});

test("what cannot be undone later either does not stand before what can", () => {
  assert.deepEqual([0, 401, 403, 404, 409, 422, 429, 503].filter(isPastUndoing), [404, 409, 422]);
});

test("no address is longer than proxies take", () => {
  const places = Array.from({ length: 1000 }, (_, seq) => `123456789.${seq}`);
  const all = addresses(places);
  assert.ok(all.length > 1 && all.every((address) => address.length <= 6000));
  const drawn = all.flatMap((address) => new URL(address, "http://x").searchParams.get("places").split(","));
  assert.deepEqual(drawn, places);
  assert.deepEqual(addresses([]), []);
});

test("nobody undoes what somebody else has corrected in this tab", () => {
  const kept = new Map();
  const store = { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => void kept.set(key, text) };
  const ann = new Undoable(store, "ann@example.com");
  const correction = [1, 2].map((id) => ({ id, image_id: `image ${id}` }));
  ann.all = [...ann.all, correction];
  assert.deepEqual(new Undoable(store, "bob@example.com").all, []);
  assert.deepEqual(new Undoable(store, "ann@example.com").all, [correction], "also after the page was loaded anew");
});

test("the last fifty corrections can be undone", () => {
  const kept = new Map();
  const undoable = new Undoable({ getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => void kept.set(key, text) }, "ann");
  for (let n = 1; n <= 60; n++) undoable.all = [...undoable.all, [{ id: n, image_id: "" }]];
  assert.equal(undoable.all.length, 50);
  assert.deepEqual(undoable.all.at(-1), [{ id: 60, image_id: "" }]);
});
