import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import { consoleOf, find, waitForConsole, waitForOneOf, waitForPower } from "./look.ts";
import { assertNothingLeft, newSpec, randomJobId, type Scene } from "./scene.ts";
import { assertNoShell, useShells } from "./shells.ts";

/** Tests of the running and the end of guests. */
export function testLives(scene: Scene, inMemory: boolean): void {
  testObedience(scene, inMemory);
  testEnds(scene);
}

/** Tests the life of an obedient guest, with one boot for all of the test. */
function testObedience(scene: Scene, inMemory: boolean): void {
  const shells = inMemory
    ? "it has no line to a shell"
    : "a line to its shell transfers bytes both ways, survives another start, is replaced by a new one, and ends with its guest";
  test(`a guest starts once, writes to its console and shuts down when requested; ${shells}`, async () => {
    const { hypervisor } = scene;
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    await assertNoShell(hypervisor, randomJobId());
    await hypervisor.create(spec);
    await assertNoShell(hypervisor, jobId);
    await Promise.all([waitForPower(hypervisor, jobId, "running"), hypervisor.start(jobId)]);
    await hypervisor.start(jobId);
    await waitForConsole(hypervisor, jobId, "guest is up");
    await hypervisor.start(jobId);
    await hypervisor.create(spec);
    // A second boot would have begun another console.
    assert.match(await consoleOf(hypervisor, jobId), /guest is up/);
    assert.equal((await find(hypervisor, jobId))?.power, "running");
    await assertConsoleOffsets(hypervisor, jobId);
    const line = inMemory ? null : await useShells(hypervisor, jobId);
    if (inMemory) await assertNoShell(hypervisor, jobId);

    const stopped = waitForPower(hypervisor, jobId, "stopped");
    await hypervisor.requestShutdown(jobId);
    await stopped;
    // A guest without a machine keeps its remains until this call.
    await hypervisor.destroy(jobId);
    await line?.ended;
    await hypervisor.remove(jobId);
    await assertNothingLeft(scene, jobId);
  });
}

function testEnds(scene: Scene): void {
  test("the end of a guest that ends by itself is reported", async () => {
    const { hypervisor } = scene;
    const spec = newSpec(scene, "brief");
    await hypervisor.create(spec);
    await hypervisor.start(spec.jobId);
    await waitForPower(hypervisor, spec.jobId, "stopped");
    assert.match(await consoleOf(hypervisor, spec.jobId), /guest is up/);
    await hypervisor.remove(spec.jobId);
    await assertNothingLeft(scene, spec.jobId);
  });

  test("the crash of a guest is reported; it is then like one without power, and can be removed", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    await hypervisor.create(spec);
    await hypervisor.start(jobId);
    await waitForPower(hypervisor, jobId, "running");
    const seen = waitForOneOf(hypervisor, jobId, ["crashed", "stopped"]);
    await harness.crash(jobId);
    await seen;
    await hypervisor.requestShutdown(jobId);
    await hypervisor.destroy(jobId);
    await hypervisor.destroy(jobId);
    assert.notEqual((await find(hypervisor, jobId))?.power ?? "absent", "running");
    await hypervisor.remove(jobId);
    assert.equal(await hypervisor.power(jobId), "absent");
    await assertNothingLeft(scene, jobId);
  });
}

async function assertConsoleOffsets(hypervisor: Hypervisor, jobId: string): Promise<void> {
  const whole = await hypervisor.readConsole(jobId, 0, 1_000_000);
  const middle = await hypervisor.readConsole(jobId, 2, 5);
  assert.deepEqual(middle, whole.subarray(2, 7));
  assert.equal((await hypervisor.readConsole(jobId, 100_000_000, 10)).length, 0);
}
