import assert from "node:assert/strict";
import { test } from "node:test";

import { Turns } from "../turns.js";

/** A deed that ends when it is told to. */
function deed(name, done) {
  let end = () => {};
  const ended = new Promise((resolve, reject) => (end = (error) => (error ? reject(error) : resolve())));
  return { end, do: () => (done.push(`${name} begins`), ended.then(() => void done.push(`${name} ends`))) };
}

test("deeds are done one after the other, and who leaves waits for them", async () => {
  const done = [];
  const turns = new Turns(assert.fail);
  const [first, second] = [deed("first", done), deed("second", done)];
  turns.take(first.do);
  turns.take(second.do);
  const left = turns.leave(() => done.push(`left with ${turns.waiting} waiting`));
  assert.equal(turns.waiting, 2);
  second.end();
  first.end();
  await left;
  assert.deepEqual(done, ["first begins", "first ends", "second begins", "second ends", "left with 0 waiting"]);
});

test("nobody leaves before they have read what failed", async () => {
  const [done, said] = [[], []];
  const turns = new Turns((error) => said.push(error.message));
  const [fails, next] = [deed("fails", done), deed("next", done)];
  turns.take(fails.do);
  turns.take(next.do);
  const left = turns.leave(() => done.push("left"));
  fails.end(new Error("changed"));
  next.end();
  await left;
  assert.deepEqual([done, said], [["fails begins", "next begins", "next ends"], ["changed"]]);
  // And then leaves, if they still want to.
  await turns.leave(() => done.push("left"));
  assert.equal(done.at(-1), "left");
  assert.equal(turns.waiting, 0);
});
