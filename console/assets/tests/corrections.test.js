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

/**
 * A store of so many characters, names left out.
 * @param {number} [place]
 */
function store(place = Infinity) {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => {
      const others = [...kept].filter(([other]) => other !== key).map(([, text]) => text.length);
      if (others.reduce((sum, length) => sum + length, text.length) > place) throw new DOMException("full", "QuotaExceededError");
      kept.set(key, text);
    },
  };
}

/** @param {number} id */
const correction = (id) => [{ id, image_id: `image ${id}` }];

test("nobody undoes what somebody else has corrected in this tab", () => {
  const tab = store();
  const ann = new Undoable(tab, "ann@example.com");
  ann.keep([...ann.all, correction(1)]);
  assert.deepEqual(new Undoable(tab, "bob@example.com").all, []);
  assert.deepEqual(new Undoable(tab, "ann@example.com").all, [correction(1)], "also after the page was loaded anew");
});

test("the last fifty corrections can be undone", () => {
  const undoable = new Undoable(store(), "ann");
  for (let n = 1; n <= 60; n++) assert.equal(undoable.keep([...undoable.all, correction(n)]), "");
  assert.equal(undoable.all.length, 50);
  assert.deepEqual(undoable.all.at(-1), correction(60));
});

test("where a tab has no place left the oldest corrections are forgotten with the page, which says so", () => {
  const tab = store(JSON.stringify([correction(1), correction(2)]).length);
  const undoable = new Undoable(tab, "ann");
  for (const n of [1, 2]) assert.equal(undoable.keep([...undoable.all, correction(n)]), "");
  assert.equal(
    undoable.keep([...undoable.all, correction(3)]),
    "This tab has no place to remember more: once you leave this page, only the last 2 of your corrections can be undone.",
  );
  assert.deepEqual(undoable.all, [1, 2, 3].map(correction), "this page undoes all of them");
  assert.deepEqual(new Undoable(tab, "ann").all, [2, 3].map(correction), "and the next one the last");

  // What was taken and not undone is there the next time.
  assert.deepEqual(undoable.all.pop(), correction(3));
  assert.deepEqual(undoable.all.pop(), correction(3));
  assert.equal(undoable.keep([1, 2].map(correction)), "", "what is undone leaves place");
  assert.deepEqual(new Undoable(tab, "ann").all, [1, 2].map(correction));
});

test("where a tab has no place at all corrections can be undone on their page", () => {
  const undoable = new Undoable(store(1), "ann");
  assert.equal(undoable.keep(undoable.all), "", "there is nothing to forget");
  assert.ok(undoable.keep([correction(1)]).endsWith("once you leave this page, none of your corrections can be undone."));
  assert.deepEqual(undoable.all, [correction(1)]);
});
