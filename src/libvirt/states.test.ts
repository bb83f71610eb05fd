import assert from "node:assert/strict";
import { test } from "node:test";
import { nameDomainState, nameLifecycleEvent } from "./states.ts";

test("states and reasons have the numbers of libvirt-domain.h", () => {
  assert.deepEqual(nameDomainState(1, 1), { state: "running", reason: "booted" });
  assert.deepEqual(nameDomainState(3, 5), { state: "paused", reason: "io_error" });
  assert.deepEqual(nameDomainState(5, 2), { state: "shutoff", reason: "destroyed" });
  assert.deepEqual(nameDomainState(5, 3), { state: "shutoff", reason: "crashed" });
  assert.deepEqual(nameDomainState(6, 1), { state: "crashed", reason: "panicked" });
});

test("events have the numbers of libvirt-domain.h", () => {
  assert.deepEqual(nameLifecycleEvent(0, 0), { event: "defined", detail: "added" });
  assert.deepEqual(nameLifecycleEvent(5, 1), { event: "stopped", detail: "destroyed" });
  assert.deepEqual(nameLifecycleEvent(6, 2), { event: "shutdown", detail: "host" });
});

test("numbers of a newer libvirt are unknown, not an error", () => {
  assert.deepEqual(nameDomainState(99, 0), { state: "unknown", reason: "unknown" });
  assert.deepEqual(nameDomainState(1, 99), { state: "running", reason: "unknown" });
  assert.deepEqual(nameLifecycleEvent(2, -1), { event: "started", detail: "unknown" });
  assert.deepEqual(nameLifecycleEvent(-1, 0), { event: "unknown", detail: "unknown" });
});
