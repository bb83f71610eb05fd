import assert from "node:assert/strict";
import { test } from "node:test";
import { decideIntake } from "./intake-pause.ts";

const serving = { phase: "serving", draining: false, limit: 10, held: null } as const;

test("requests are taken while there is room, and after a full store only when there is some more room", () => {
  assert.equal(decideIntake({ ...serving, waiting: 9 }), null);
  assert.equal(decideIntake({ ...serving, waiting: 10 }), "full");
  assert.equal(decideIntake({ ...serving, waiting: 10, held: "full" }), "full");
  assert.equal(decideIntake({ ...serving, waiting: 9, held: "full" }), null);
  const small = { ...serving, limit: 1, held: "full" } as const;
  assert.equal(decideIntake({ ...small, waiting: 1 }), "full");
  assert.equal(decideIntake({ ...small, waiting: 0 }), null);
});

test("a store that does not answer, and a host that shuts down, always pause the intake", () => {
  assert.equal(decideIntake({ ...serving, waiting: null }), "store_away");
  assert.equal(decideIntake({ ...serving, waiting: null, held: "full" }), "store_away");
  assert.equal(decideIntake({ ...serving, waiting: 9, held: "store_away" }), null);
  assert.equal(decideIntake({ ...serving, waiting: 10, held: "store_away" }), "full");
  assert.equal(decideIntake({ ...serving, draining: true, waiting: 0 }), "draining");
  assert.equal(decideIntake({ ...serving, waiting: 0, held: "draining" }), null);
  for (const phase of ["restarting", "draining", "drained", "forced"] as const) {
    assert.equal(decideIntake({ ...serving, phase, waiting: 0 }), "going_down");
    assert.equal(decideIntake({ ...serving, phase, waiting: null }), "going_down");
  }
});
