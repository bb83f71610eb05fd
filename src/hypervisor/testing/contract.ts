import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { guestName } from "../../core/job.ts";
import type { GuestPower, GuestShell, GuestSpec, Hypervisor } from "../hypervisor.ts";

/**
 * How a test guest behaves. `obedient`: says "guest is up" and runs until asked to shut down. `deaf`: as that, but says
 * "heard and ignored" when asked. `brief`: says "guest is up" and ends by itself.
 */
export type Behaviour = "obedient" | "deaf" | "brief";

/** What someone else made under a guest's name. */
export interface Foreign {
  intact(): Promise<boolean>;
  remove(): Promise<void>;
}

/** What a backend brings to be tested. */
export interface ContractHarness {
  /** A new backend object on the same host and data directory, as after the orchestrator was killed. Not prepared. */
  open(): Hypervisor;
  spec(guest: { jobId: string; attempt: number; behaviour: Behaviour }): GuestSpec;
  /** Leaves what `create` leaves when the process dies at that point, by the point's name. */
  readonly crashPoints: Readonly<Record<string, (spec: GuestSpec) => Promise<void>>>;
  /** Where each guest has its directory; null for a backend in memory. */
  readonly guestsDir: string | null;
  /** Makes a guest of that name that belongs to someone else. */
  plantForeign(jobId: string): Promise<Foreign>;
  /** Fails when anything of the job is left on the host. */
  assertNothingLeft(jobId: string): Promise<void>;
  close(): Promise<void>;
}

/** What is to be tested, and how. */
export interface ContractOptions {
  setUp(): Promise<ContractHarness>;
  /** A reason where this backend cannot be here. */
  readonly skip?: string | false;
  /** True for a backend that keeps guests in memory: they do not outlive it, leave nothing, and no one else has any. */
  readonly inMemory?: boolean;
}

const GUEST_TIMEOUT_MS = 120_000;

/** A job id that no other test run uses. */
export function randomJobId(): string {
  return `t${randomBytes(8).toString("hex")}`;
}

/** The promises of {@link Hypervisor}, run on one backend. */
export function testHypervisorContract(name: string, options: ContractOptions): void {
  const { setUp, skip = false, inMemory = false } = options;
  describe(`hypervisor contract: ${name}`, { skip }, () => {
    const scene: Scene = { jobIds: [] } as unknown as Scene;
    before(async () => {
      scene.harness = await setUp();
      scene.hypervisor = scene.harness.open();
      await scene.hypervisor.prepare();
    });
    after(async () => {
      for (const jobId of scene.jobIds) await scene.hypervisor.remove(jobId);
      await scene.hypervisor?.close();
      await scene.harness?.close();
    });
    testQuietness(scene);
    testCreation(scene);
    testLives(scene);
    testShells(scene, inMemory);
    if (inMemory) testVanishing(scene);
    else testPersistence(scene);
  });
}

interface Scene {
  harness: ContractHarness;
  hypervisor: Hypervisor;
  /** Every job a test made, to be removed whatever happens. */
  readonly jobIds: string[];
}

function newSpec(scene: Scene, behaviour: Behaviour): GuestSpec {
  const jobId = randomJobId();
  scene.jobIds.push(jobId);
  return scene.harness.spec({ jobId, attempt: 1, behaviour });
}

/** What is there of a job's guest; the attempt cannot be told where only files are left. */
async function find(hypervisor: Hypervisor, jobId: string) {
  const { domains, directories } = await hypervisor.listTraces();
  const domain = domains.find((one) => one.jobId === jobId);
  if (domain) return { name: domain.name, jobId, attempt: domain.attempt, power: domain.power };
  const isLeftOver = directories.some((directory) => directory.jobId === jobId);
  return isLeftOver ? { name: guestName(jobId), jobId, attempt: null, power: "stopped" } : undefined;
}

function testQuietness(scene: Scene): void {
  test("preparing again changes nothing, and the host has an address for guests", async () => {
    await scene.hypervisor.prepare();
    assert.match(await scene.hypervisor.runnerHost(), /^[0-9.]+$/);
  });

  test("a job without a guest is absent and quiet, but cannot start", async () => {
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

function testCreation(scene: Scene): void {
  test("creating twice is one guest without power; removing twice leaves nothing", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    await hypervisor.create(spec);
    await hypervisor.create(spec);
    assert.equal(await hypervisor.power(jobId), "stopped");
    assert.deepEqual(await find(hypervisor, jobId), {
      name: guestName(jobId),
      jobId,
      attempt: 1,
      power: "stopped",
    });
    await hypervisor.requestShutdown(jobId);
    await hypervisor.destroy(jobId);
    assert.equal(await hypervisor.power(jobId), "stopped");
    await hypervisor.remove(jobId);
    await hypervisor.remove(jobId);
    assert.equal(await hypervisor.power(jobId), "absent");
    assert.equal(await find(hypervisor, jobId), undefined);
    await harness.assertNothingLeft(jobId);
  });

  test("a newer attempt replaces an older one, and never the other way round", async () => {
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
}

/** What holds only for guests that leave something on the host. */
function testPersistence(scene: Scene): void {
  test("create succeeds after a crash at any point, and so does remove", async () => {
    const { hypervisor, harness } = scene;
    for (const [point, crash] of Object.entries(harness.crashPoints)) {
      const spec = newSpec(scene, "obedient");
      const { jobId } = spec;
      await crash(spec);
      assert.equal((await find(hypervisor, jobId))?.power, "stopped", point);
      await hypervisor.create(spec);
      assert.equal((await find(hypervisor, jobId))?.attempt, 1, point);
      await hypervisor.start(jobId);
      assert.equal(await hypervisor.power(jobId), "running", point);
      await hypervisor.remove(jobId);
      await harness.assertNothingLeft(jobId);

      await crash(spec);
      await hypervisor.remove(jobId);
      assert.equal(await hypervisor.power(jobId), "absent", point);
      await harness.assertNothingLeft(jobId);
    }
  });

  test("what someone else made under a guest's name is never listed, replaced or removed", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    const foreign = await harness.plantForeign(jobId);
    try {
      assert.equal(await find(hypervisor, jobId), undefined);
      assert.equal(await hypervisor.power(jobId), "absent");
      await assert.rejects(hypervisor.create(spec), { code: "already_exists" });
      await assert.rejects(hypervisor.start(jobId), { code: "hypervisor_failed" });
      await hypervisor.requestShutdown(jobId);
      await hypervisor.destroy(jobId);
      await hypervisor.remove(jobId);
      assert.ok(await foreign.intact());
    } finally {
      await foreign.remove();
    }
  });

  test("one that is only connected finds a guest with its files, and removes it", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    await hypervisor.create(spec);
    const janitor = harness.open();
    await janitor.connect();
    const { domains, directories, misnamed } = await janitor.listTraces();
    const domain = domains.find((one) => one.jobId === jobId);
    const directory = directories.find((one) => one.jobId === jobId);
    assert.ok(domain && directory);
    for (const file of domain.needs) assert.ok(directory.files.includes(file), file);
    assert.deepEqual(misnamed, []);
    await janitor.remove(jobId);
    await janitor.close();
    assert.equal(await find(hypervisor, jobId), undefined);
    await harness.assertNothingLeft(jobId);
  });

  test("among the guests' directories only those of our form are listed, and a link is not followed", async () => {
    const { hypervisor, harness } = scene;
    assert.ok(harness.guestsDir);
    const linked = randomJobId();
    const file = randomJobId();
    const aside = join(harness.guestsDir, "not-of-a-job");
    await mkdir(aside);
    await writeFile(join(aside, "overlay.qcow2"), "kept");
    await symlink(aside, join(harness.guestsDir, guestName(linked)));
    await writeFile(join(harness.guestsDir, guestName(file)), "a file");
    await writeFile(join(harness.guestsDir, "notes.txt"), "kept");
    const { directories } = await hypervisor.listTraces();
    const listed = directories.map(({ path }) => path);
    for (const name of [guestName(linked), guestName(file), "not-of-a-job", "notes.txt"])
      assert.ok(!listed.includes(join(harness.guestsDir, name)), name);
    await hypervisor.remove(linked);
    assert.equal(await readFile(join(aside, "overlay.qcow2"), "utf8"), "kept");
    for (const name of [guestName(linked), guestName(file), "not-of-a-job", "notes.txt"])
      await rm(join(harness.guestsDir, name), { recursive: true, force: true });
  });

  test("a successor finds the guest, asks it in vain, destroys it twice; it can start again and be removed under power", async () => {
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
    await waitForConsole(successor, jobId, "heard and ignored");
    assert.equal(await successor.power(jobId), "running");
    await successor.destroy(jobId);
    await successor.destroy(jobId);
    assert.equal(await successor.power(jobId), "stopped");
    await successor.close();
    assert.equal(await hypervisor.power(jobId), "stopped");

    await hypervisor.start(jobId);
    await hypervisor.remove(jobId);
    assert.equal(await hypervisor.power(jobId), "absent");
    await harness.assertNothingLeft(jobId);
  });
}

function testLives(scene: Scene): void {
  test("a guest starts once, speaks on its console and obeys", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    await hypervisor.create(spec);
    await Promise.all([waitForPower(hypervisor, jobId, "running"), hypervisor.start(jobId)]);
    await hypervisor.start(jobId);
    await hypervisor.create(spec);
    assert.equal((await find(hypervisor, jobId))?.power, "running");
    await waitForConsole(hypervisor, jobId, "guest is up");
    await assertConsoleOffsets(hypervisor, jobId);

    const stopped = waitForPower(hypervisor, jobId, "stopped");
    await hypervisor.requestShutdown(jobId);
    await stopped;
    await hypervisor.remove(jobId);
    await harness.assertNothingLeft(jobId);
  });

  test("a guest that ends by itself is seen to", async () => {
    const { hypervisor, harness } = scene;
    const spec = newSpec(scene, "brief");
    await hypervisor.create(spec);
    await hypervisor.start(spec.jobId);
    await waitForPower(hypervisor, spec.jobId, "stopped");
    assert.match((await hypervisor.readConsole(spec.jobId, 0, 1_000_000)).toString(), /guest is up/);
    await hypervisor.remove(spec.jobId);
    await harness.assertNothingLeft(spec.jobId);
  });
}

const order = { number: 7, term: "dumb", rows: 24, columns: 80, mode: "plain" } as const;

/** An obedient guest gives back what is typed on its line for shells. */
function testShells(scene: Scene, inMemory: boolean): void {
  test("a line to the shell of a guest: only of one that runs; bytes both ways; a new one takes over; it ends with its guest", async () => {
    const { hypervisor } = scene;
    await assert.rejects(hypervisor.openShell(randomJobId(), order), { code: "hypervisor_failed" });
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    await hypervisor.create(spec);
    await assert.rejects(hypervisor.openShell(jobId, order), { code: "hypervisor_failed" });
    await hypervisor.start(jobId);
    if (inMemory) {
      await assert.rejects(hypervisor.openShell(jobId, order), { code: "hypervisor_failed" });
      await hypervisor.remove(jobId);
      return;
    }
    await waitForConsole(hypervisor, jobId, "guest is up");
    const first = await hypervisor.openShell(jobId, order);
    await echoes(first, "one");
    await first.resize({ rows: 50, columns: 120 });
    const ended = closed(first);
    const second = await hypervisor.openShell(jobId, { ...order, number: 8 });
    first.stream.destroy();
    await ended;
    await echoes(second, "two");
    const over = closed(second);
    await hypervisor.destroy(jobId);
    await over;
    await hypervisor.remove(jobId);
  });
}

async function echoes({ stream }: GuestShell, text: string): Promise<void> {
  stream.write(`${text}\n`);
  let seen = "";
  const end = AbortSignal.timeout(GUEST_TIMEOUT_MS);
  while (!seen.includes(text)) {
    const [bytes] = await once(stream, "data", { signal: end });
    seen += String(bytes);
  }
}

function closed({ stream }: GuestShell): Promise<void> {
  stream.on("error", () => {});
  stream.resume();
  return new Promise((resolve) => stream.once("close", resolve));
}

function testVanishing(scene: Scene): void {
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

/** Waits for a guest's power. Looks only when woken (and once at first), so that a lost wake-up fails the test. */
export async function waitForPower(hypervisor: Hypervisor, jobId: string, wanted: GuestPower): Promise<void> {
  const deadline = AbortSignal.timeout(GUEST_TIMEOUT_MS);
  let woken = Promise.withResolvers<void>();
  const wake = () => woken.resolve();
  deadline.addEventListener("abort", wake);
  const unsubscribe = hypervisor.onChange((changedId) => {
    if (changedId === jobId || changedId === null) wake();
  });
  try {
    while ((await hypervisor.power(jobId)) !== wanted) {
      await woken.promise;
      assert.ok(!deadline.aborted, `${guestName(jobId)} was not reported to be ${wanted}`);
      woken = Promise.withResolvers<void>();
    }
  } finally {
    unsubscribe();
  }
}

/** A console tells nobody that it grew, so this looks again until the text is there. */
async function waitForConsole(hypervisor: Hypervisor, jobId: string, text: string): Promise<void> {
  const deadline = Date.now() + GUEST_TIMEOUT_MS;
  for (;;) {
    const seen = (await hypervisor.readConsole(jobId, 0, 1_000_000)).toString();
    if (seen.includes(text)) return;
    if (Date.now() > deadline) throw new Error(`the console does not say "${text}": ${seen.slice(-2000)}`);
    await delay(50);
  }
}

async function assertConsoleOffsets(hypervisor: Hypervisor, jobId: string): Promise<void> {
  const whole = await hypervisor.readConsole(jobId, 0, 1_000_000);
  const middle = await hypervisor.readConsole(jobId, 2, 5);
  assert.deepEqual(middle, whole.subarray(2, 7));
  assert.equal((await hypervisor.readConsole(jobId, 100_000_000, 10)).length, 0);
}
