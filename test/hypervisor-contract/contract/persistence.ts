import assert from "node:assert/strict";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { guestName } from "../../../src/core/job/job.ts";
import { find, waitForConsole } from "./look.ts";
import { assertNothingLeft, newSpec, randomJobId, type Scene } from "./scene.ts";

/** Tests for guests that leave something on the host. */
export function testPersistence(scene: Scene): void {
  testDirectories(scene);
  testSuccession(scene);
}

/** Tests for guests in memory. */
export function testVanishing(scene: Scene): void {
  test("guests in memory vanish with the object that made them", async () => {
    const { harness } = scene;
    const hypervisor = harness.open();
    await hypervisor.prepare();
    const spec = newSpec(scene, "obedient");
    await hypervisor.create(spec);
    await hypervisor.start(spec.jobId);
    assert.equal(await scene.hypervisor.power(spec.jobId), "absent");
    await hypervisor.close();
    assert.equal(await hypervisor.power(spec.jobId), "absent");
  });
}

function testDirectories(scene: Scene): void {
  test("among the guests' directories only those of our form are listed, and links are not followed", async () => {
    const { hypervisor, harness } = scene;
    assert.ok(harness.guestsDir);
    const linked = randomJobId();
    const file = randomJobId();
    const aside = join(harness.guestsDir, "not-of-a-job");
    const strangers = [guestName(linked), guestName(file), "not-of-a-job", "notes.txt"];
    await mkdir(aside);
    await writeFile(join(aside, "overlay.qcow2"), "kept");
    await symlink(aside, join(harness.guestsDir, guestName(linked)));
    await writeFile(join(harness.guestsDir, guestName(file)), "a file");
    await writeFile(join(harness.guestsDir, "notes.txt"), "kept");
    const { directories } = await hypervisor.listInventory();
    const listed = directories.map(({ path }) => path);
    for (const name of strangers) assert.ok(!listed.includes(join(harness.guestsDir, name)), name);
    await hypervisor.remove(linked);
    assert.equal(await readFile(join(aside, "overlay.qcow2"), "utf8"), "kept");
    for (const name of strangers) await rm(join(harness.guestsDir, name), { recursive: true, force: true });
  });
}

function testSuccession(scene: Scene): void {
  test("a backend that is only connected finds a guest with its files, and removes it", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    await hypervisor.create(spec);
    const janitor = harness.open();
    await janitor.connect();
    const { domains, directories, misnamed } = await janitor.listInventory();
    const domain = domains.find((one) => one.jobId === jobId);
    const directory = directories.find((one) => one.jobId === jobId);
    assert.ok(domain && directory);
    for (const file of domain.needs) assert.ok(directory.files.includes(file), file);
    assert.deepEqual(misnamed, []);
    await janitor.remove(jobId);
    await janitor.close();
    assert.equal(await find(hypervisor, jobId), undefined);
    await assertNothingLeft(scene, jobId);
  });

  test("a successor finds the guest, fails to shut it down, destroys it twice; it can start again and be removed while running", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "deaf");
    const { jobId } = spec;
    await hypervisor.create(spec);
    await hypervisor.start(jobId);
    await waitForConsole(hypervisor, jobId, "guest is up");

    const successor = harness.open();
    await successor.prepare();
    assert.deepEqual(await find(successor, jobId), {
      name: guestName(jobId),
      jobId,
      attempt: 1,
      power: "running",
    });
    await successor.requestShutdown(jobId);
    await waitForConsole(successor, jobId, "power button ignored");
    assert.equal(await successor.power(jobId), "running");
    await successor.destroy(jobId);
    await successor.destroy(jobId);
    assert.equal(await successor.power(jobId), "stopped");
    await successor.close();
    assert.equal(await hypervisor.power(jobId), "stopped");

    await hypervisor.start(jobId);
    await hypervisor.remove(jobId);
    assert.equal(await hypervisor.power(jobId), "absent");
    await assertNothingLeft(scene, jobId);
  });
}
