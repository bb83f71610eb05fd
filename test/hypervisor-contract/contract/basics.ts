import assert from "node:assert/strict";
import { test } from "node:test";
import { guestName } from "../../../src/core/job/job.ts";
import { find } from "./look.ts";
import { assertNothingLeft, newSpec, randomJobId, type Scene } from "./scene.ts";

/** Tests on a host without guests. */
export function testQuietness(scene: Scene): void {
  test("preparing again changes nothing, and the host has an address for guests", async () => {
    await scene.hypervisor.prepare();
    assert.match(await scene.hypervisor.runnerHost(), /^[0-9.]+$/);
  });

  test("a job without a guest is absent and emits no events, but cannot start", async () => {
    const { hypervisor } = scene;
    const jobId = randomJobId();
    assert.equal(await hypervisor.power(jobId), "absent");
    await hypervisor.requestShutdown(jobId);
    await hypervisor.destroy(jobId);
    await hypervisor.remove(jobId);
    assert.equal((await hypervisor.readConsole(jobId, 0, 100)).length, 0);
    assert.equal(await find(hypervisor, jobId), undefined);
    await assert.rejects(hypervisor.start(jobId), { code: "hypervisor_failed" });
  });
}

/** Tests of `create`. */
export function testCreation(scene: Scene): void {
  test("creating twice makes one guest without power; removing twice leaves nothing", async () => {
    const { hypervisor } = scene;
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    const whole = { name: guestName(jobId), jobId, attempt: 1, power: "stopped" };
    await hypervisor.create(spec);
    await hypervisor.create(spec);
    assert.equal(await hypervisor.power(jobId), "stopped");
    assert.deepEqual(await find(hypervisor, jobId), whole);
    await hypervisor.requestShutdown(jobId);
    await hypervisor.destroy(jobId);
    assert.equal(await hypervisor.power(jobId), "stopped");
    await hypervisor.remove(jobId);
    await hypervisor.remove(jobId);
    assert.equal(await hypervisor.power(jobId), "absent");
    assert.equal(await find(hypervisor, jobId), undefined);
    await assertNothingLeft(scene, jobId);
  });

  test("a newer attempt replaces an older one; an older one never replaces a newer one", async () => {
    const { hypervisor } = scene;
    const first = newSpec(scene, "obedient");
    const second = { ...first, attempt: 2 };
    await hypervisor.create(first);
    await hypervisor.start(first.jobId);
    await hypervisor.create(second);
    assert.equal((await find(hypervisor, first.jobId))?.attempt, 2);
    assert.equal(await hypervisor.power(first.jobId), "stopped");
    await assert.rejects(hypervisor.create(first), { code: "already_exists" });
    assert.equal((await find(hypervisor, first.jobId))?.attempt, 2);
    await hypervisor.remove(first.jobId);
  });

  test("guests of different jobs are made, started and removed in parallel", async () => {
    const { hypervisor } = scene;
    const specs = [newSpec(scene, "obedient"), newSpec(scene, "obedient"), newSpec(scene, "obedient")];
    const each = <Result>(act: (jobId: string) => Promise<Result>) =>
      Promise.all(specs.map(({ jobId }) => act(jobId)));
    await Promise.all(specs.map((spec) => hypervisor.create(spec)));
    await each((jobId) => hypervisor.start(jobId));
    assert.deepEqual(await each((jobId) => hypervisor.power(jobId)), ["running", "running", "running"]);
    await each((jobId) => hypervisor.remove(jobId));
    await each((jobId) => assertNothingLeft(scene, jobId));
  });
}
