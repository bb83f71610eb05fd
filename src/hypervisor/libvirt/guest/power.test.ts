import assert from "node:assert/strict";
import { test } from "node:test";
import type { DomainState } from "../../../libvirt/index.ts";
import type { GuestPower } from "../../hypervisor.ts";
import { powerOf } from "./power.ts";

test("libvirt's states map to power states", () => {
  const expected: [DomainState["state"], DomainState["reason"], GuestPower][] = [
    ["running", "booted", "running"],
    ["blocked", "unknown", "running"],
    // Being shut down: QEMU still exists.
    ["shutdown", "user", "running"],
    ["unknown", "unknown", "running"],
    ["paused", "io_error", "paused"],
    ["paused", "starting_up", "running"],
    ["pm_suspended", "unknown", "paused"],
    ["shutoff", "unknown", "stopped"],
    ["shutoff", "shutdown", "stopped"],
    ["shutoff", "destroyed", "stopped"],
    ["shutoff", "crashed", "crashed"],
    ["shutoff", "failed", "crashed"],
    ["shutoff", "daemon", "crashed"],
    ["crashed", "panicked", "crashed"],
  ];
  for (const [state, reason, power] of expected) {
    assert.equal(powerOf({ state, reason }), power, `${state} (${reason})`);
  }
});
