import assert from "node:assert/strict";
import { test } from "node:test";
import { isSolsticeError } from "../../../src/core/errors.ts";
import { type ContractOptions, type HostFailure, hostFailures } from "./harness.ts";
import { assertNothingLeft, newSpec, type Scene } from "./scene.ts";

/**
 * Tests that each failure of a host has the same reason in every backend, and leaves nothing once the host is
 * repaired.
 */
export function testFailures(scene: Scene, { cannotHappen = {} }: ContractOptions): void {
  for (const failure of Object.keys(hostFailures) as HostFailure[]) {
    if (cannotHappen[failure] !== undefined) continue;
    test(`${failure}: ${hostFailures[failure]}, with a remedy; repaired, it works again`, async () => {
      await assertFails(scene, failure);
    });
  }
}

async function assertFails(scene: Scene, failure: HostFailure): Promise<void> {
  const { hypervisor, harness } = scene;
  const bringAbout = harness.failures[failure];
  assert.ok(
    bringAbout,
    "the harness must cause the failure, or the options must give the reason why it cannot happen",
  );
  const spec = newSpec(scene, "obedient");
  const broken = await bringAbout(spec);
  try {
    await assert.rejects(broken.fail(), (error) => {
      assert.ok(isSolsticeError(error), String(error));
      assert.equal(error.code, hostFailures[failure], error.message);
      assert.ok(error.remedy, `no remedy: ${error.message}`);
      return true;
    });
  } finally {
    await broken.repair();
  }
  await hypervisor.remove(spec.jobId);
  await assertNothingLeft(scene, spec.jobId);
  await hypervisor.create(spec);
  await hypervisor.start(spec.jobId);
  await hypervisor.remove(spec.jobId);
  await assertNothingLeft(scene, spec.jobId);
}
