import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import { find } from "./look.ts";
import { assertNothingLeft, newSpec, type Scene } from "./scene.ts";

/** Tests that a backend leaves the guests of others alone, whatever their names. */
export function testOwnership(scene: Scene): void {
  test("another owner's guest under the name of one of ours is never listed, replaced or removed: already_exists", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "obedient");
    const foreign = await harness.plantForeign(spec.jobId);
    try {
      await assertNotOurs(hypervisor, spec.jobId);
      await assert.rejects(hypervisor.create(spec), { code: "already_exists" });
      assert.ok(await foreign.intact());
    } finally {
      await foreign.remove();
    }
  });

  test("another installation's guest keeps running, whatever requests ours receives; a guest with its name cannot be made", async () => {
    const { hypervisor, harness } = scene;
    const neighbour = harness.openNeighbour?.();
    assert.ok(neighbour, "a backend that others may use beside us needs openNeighbour");
    const theirs = newSpec(scene, "obedient");
    const ours = newSpec(scene, "obedient");
    await neighbour.prepare();
    try {
      await neighbour.create(theirs);
      await neighbour.start(theirs.jobId);
      await hypervisor.create(ours);
      await assertNotOurs(hypervisor, theirs.jobId);
      await assertNotOurs(neighbour, ours.jobId);
      await assert.rejects(hypervisor.create(theirs), { code: "already_exists" });
      await assert.rejects(hypervisor.create({ ...theirs, attempt: 2 }), { code: "already_exists" });
      assert.equal(await neighbour.power(theirs.jobId), "running");
      assert.equal(await hypervisor.power(ours.jobId), "stopped");
    } finally {
      await neighbour.remove(theirs.jobId);
      await neighbour.close();
    }
    await hypervisor.remove(ours.jobId);
    for (const { jobId } of [theirs, ours]) await assertNothingLeft(scene, jobId);
  });
}

async function assertNotOurs(hypervisor: Hypervisor, jobId: string): Promise<void> {
  assert.equal(await find(hypervisor, jobId), undefined);
  assert.equal(await hypervisor.power(jobId), "absent");
  await assert.rejects(hypervisor.start(jobId), { code: "hypervisor_failed" });
  await hypervisor.requestShutdown(jobId);
  await hypervisor.destroy(jobId);
  await hypervisor.remove(jobId);
}
