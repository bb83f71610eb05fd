import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ZoneState } from "../zone/zone-list.ts";
import type { ObservedGuest, ObservedZone } from "./observed.ts";
import { afterStep, decideCreation, nextTeardownStep, type TeardownStep } from "./teardown.ts";

const nothing: ObservedGuest = {
  zone: { kind: "none" },
  disk: { kind: "none" },
  hasZoneDataset: false,
  vnic: null,
  hasDirectory: false,
  hasSeed: false,
  slot: null,
};
const zoneIn = (state: ZoneState, attempt = 1): ObservedZone => ({ kind: "ours", state, attempt });
const whole: ObservedGuest = {
  zone: zoneIn("installed"),
  disk: { kind: "ours", attempt: 1 },
  hasZoneDataset: true,
  vnic: "sol0123450",
  hasDirectory: true,
  hasSeed: true,
  slot: 0,
};

const states = [
  "configured",
  "incomplete",
  "installed",
  "ready",
  "mounted",
  "running",
  "shutting_down",
  "down",
] as const;
const arbitraryGuest: fc.Arbitrary<ObservedGuest> = fc.record({
  zone: fc.oneof(
    fc.constant<ObservedZone>({ kind: "none" }),
    fc.constant<ObservedZone>({ kind: "foreign" }),
    fc.constantFrom(...states).map((state) => zoneIn(state)),
  ),
  disk: fc.constantFrom<ObservedGuest["disk"]>(
    { kind: "none" },
    { kind: "foreign" },
    { kind: "ours", attempt: 1 },
  ),
  hasZoneDataset: fc.boolean(),
  vnic: fc.constantFrom(null, "sol0123450"),
  hasDirectory: fc.boolean(),
  hasSeed: fc.boolean(),
  slot: fc.constantFrom(null, 0),
});

/** Applies a step to a guest; the state after waiting is the one that the zone reaches. */
function take(guest: ObservedGuest, step: TeardownStep): ObservedGuest {
  return step === "wait" ? { ...guest, zone: zoneIn("down") } : afterStep(guest, step);
}

test("from any state, a few steps remove our parts of a guest, and nothing else", () => {
  fc.assert(
    fc.property(arbitraryGuest, (start) => {
      let guest = start;
      let steps = 0;
      for (let step = nextTeardownStep(guest); step !== null; step = nextTeardownStep(guest)) {
        guest = take(guest, step);
        steps += 1;
        assert.ok(steps <= 8, `more than eight steps from ${JSON.stringify(start)}`);
      }
      assert.ok(guest.zone.kind !== "ours" && guest.disk.kind !== "ours");
      assert.ok(!guest.hasDirectory && guest.vnic === null);
      if (start.zone.kind === "foreign") assert.equal(guest.hasZoneDataset, start.hasZoneDataset);
      assert.equal(guest.zone.kind === "foreign", start.zone.kind === "foreign");
      assert.equal(guest.disk.kind === "foreign", start.disk.kind === "foreign");
    }),
  );
});

test("the directory is removed last, and the disk after the zone that uses it", () => {
  const steps: TeardownStep[] = [];
  let guest: ObservedGuest = { ...whole, zone: zoneIn("running") };
  for (let step = nextTeardownStep(guest); step !== null; step = nextTeardownStep(guest)) {
    steps.push(step);
    guest = take(guest, step);
  }
  assert.deepEqual(steps, [
    "halt",
    "uninstall",
    "delete-zone",
    "delete-vnic",
    "destroy-disk",
    "remove-directory",
  ]);
});

test("a zone that is mounted, partly installed, partly booted or shutting down is removed", () => {
  const step = (state: ZoneState) => nextTeardownStep({ ...whole, zone: zoneIn(state) });
  assert.equal(step("mounted"), "unmount");
  assert.equal(step("incomplete"), "uninstall");
  assert.equal(step("ready"), "halt");
  assert.equal(step("down"), "halt");
  assert.equal(step("shutting_down"), "wait");
  assert.equal(step("unknown"), "wait");
});

test("create: a complete guest is done, whatever its power; an incomplete one is created again", () => {
  for (const state of ["installed", "ready", "running", "shutting_down"] as const)
    assert.deepEqual(decideCreation({ ...whole, zone: zoneIn(state) }, 1), { kind: "done" }, state);
  const halves: Partial<ObservedGuest>[] = [
    { zone: zoneIn("configured") },
    { zone: zoneIn("incomplete") },
    { zone: { kind: "none" } },
    { disk: { kind: "none" } },
    { hasSeed: false },
    { slot: null },
  ];
  for (const half of halves)
    assert.deepEqual(decideCreation({ ...whole, ...half }, 1), { kind: "make" }, JSON.stringify(half));
  assert.deepEqual(decideCreation(nothing, 1), { kind: "make" });
});

test("create: a newer attempt replaces an older one, never the reverse, also when only the disk is left", () => {
  assert.deepEqual(decideCreation(whole, 2), { kind: "make" });
  const newer: ObservedGuest = { ...whole, zone: zoneIn("installed", 2), disk: { kind: "ours", attempt: 2 } };
  assert.deepEqual(decideCreation(newer, 1), { kind: "outdated", attempt: 2 });
  assert.deepEqual(decideCreation({ ...newer, zone: { kind: "none" } }, 1), { kind: "outdated", attempt: 2 });
});

test("create: foreign objects are refused", () => {
  assert.deepEqual(decideCreation({ ...nothing, zone: { kind: "foreign" } }, 1), {
    kind: "refuse",
    what: "zone",
  });
  assert.deepEqual(decideCreation({ ...nothing, disk: { kind: "foreign" } }, 1), {
    kind: "refuse",
    what: "disk",
  });
  assert.deepEqual(decideCreation({ ...nothing, hasZoneDataset: true }, 1), {
    kind: "refuse",
    what: "zone-dataset",
  });
  assert.deepEqual(decideCreation({ ...nothing, hasZoneDataset: true, hasDirectory: true }, 1), {
    kind: "make",
  });
});
