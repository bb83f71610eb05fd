import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { noopSpec } from "../../../test/hypervisor-contract/noop-harness.ts";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { Leak } from "../../core/audit/leak.ts";
import type { ImageDefinition } from "../../core/image-map/image-map.ts";
import { guestName, type Job } from "../../core/job/job.ts";
import { verdict } from "../../core/job/verdict.ts";
import { silentLog } from "../../core/log.ts";
import { acquireProcessLock } from "../../host/process-lock.ts";
import { createNoopHypervisor } from "../../hypervisor/noop/noop.ts";
import { applyEvent, getJob } from "../../store/jobs/jobs.ts";
import { getMachine, listMachines, setMachineState } from "../../store/jobs/machines.ts";
import { openSqliteStore } from "../../store/store.ts";
import { claim, end, hostId, insertClaimed } from "../../store/testing/sample-jobs.ts";
import type { Log } from "../context.ts";
import { createKeyedLock, type KeyedLock } from "../keyed-lock.ts";
import { audit } from "./audit.ts";
import { createAuditState } from "./audit-state.ts";
import type { AuditContext } from "./read-inventories.ts";

const hourMs = 3_600_000;

interface Host {
  readonly context: AuditContext;
  readonly dataDir: string;
  /** Makes a guest as a driver does. */
  create(jobId: string, attempt?: number): Promise<void>;
  /** The logged fields of each line. */
  readonly reported: object[];
}

/** A host with a real store, and guests that are directories. */
async function openHost(t: TestContext, options: { isDriven: boolean }): Promise<Host> {
  const dataDir = mkdtempSync(join(tmpdir(), "solstice-audit-"));
  t.after(() => rmSync(dataDir, { recursive: true }));
  const reported: object[] = [];
  const note = (facts: object) => void reported.push(facts);
  const log = { debug: () => {}, info: () => {}, warn: note, error: note } as Log;
  const store = await openSqliteStore({ path: join(dataDir, "state", "solstice.db") });
  t.after(() => store.close());
  const hypervisor = createNoopHypervisor({
    ...{ runner: "process", delayMs: 0, dataDir, ownerId: hostId, log: silentLog },
  });
  t.after(() => hypervisor.close());
  await hypervisor.prepare();
  const image = { name: "map", localPath: join(dataDir, "images", "mapped.img") } as ImageDefinition;
  const config = {
    dataDir,
    imageMap: { images: new Map([["map", image]]) },
  } as unknown as OrchestratorConfig;
  const context = {
    ...{ config, store, hypervisor, log, guestLock: createKeyedLock() },
    identity: { hostId, tokenSecret: Buffer.alloc(32) },
    audits: createAuditState(options),
  };
  return {
    ...{ context, dataDir, reported },
    create: (jobId, attempt = 1) => hypervisor.create(noopSpec({ jobId, attempt })),
  };
}

function summary(leaks: readonly Leak[]): string[] {
  return leaks.map(({ kind, jobId }) => `${kind} ${jobId}`).toSorted();
}

async function boot({ context }: Host, { id, attempt }: Job): Promise<void> {
  await applyEvent(context.store, { jobId: id, attempt, event: "boot", at: 3000 });
}

test("guests and files without a job are removed; those of a job and foreign files stay", async (t) => {
  const host = await openHost(t, { isDriven: true });
  const guests = join(host.dataDir, "guests");
  await boot(host, await insertClaimed(host.context.store, "held"));
  await host.create("held");
  await host.create("strayguest");
  await insertClaimed(host.context.store, "ended");
  await host.create("ended");
  await end(host.context.store, "ended", "completed");
  mkdirSync(join(guests, "job-files"));
  writeFileSync(join(guests, "job-files", "console.log"), "left");
  writeFileSync(join(guests, "notes.txt"), "not ours");
  mkdirSync(join(guests, "job-foreign"));
  writeFileSync(join(guests, "job-foreign", "guest.json"), JSON.stringify({ owner: "other", attempt: 1 }));

  const expected = ["files_without_guest files", "guest_without_job ended", "guest_without_job strayguest"];
  const found = await audit(host.context, { fix: false });
  assert.deepEqual(summary(found), expected);
  assert.ok(found.every(({ isFixed }) => !isFixed));
  assert.equal(host.context.audits.left.guest_without_job, 2);
  assert.deepEqual(host.reported, [], "an audit without fix logs nothing");

  const repaired = await audit(host.context, { fix: true });
  assert.deepEqual(summary(repaired), expected);
  assert.deepEqual(
    repaired.map(({ problem }) => problem),
    ["", "", ""],
  );
  assert.deepEqual(readdirSync(guests).toSorted(), ["job-foreign", "job-held", "notes.txt"]);
  assert.equal(
    (await listMachines(host.context.store, hostId)).length,
    1,
    "the ended job's machine is recorded as gone",
  );
  assert.deepEqual(
    [host.context.audits.left.guest_without_job, host.context.audits.repaired.guest_without_job],
    [0, 2],
  );
  assert.equal(host.reported.length, 3);
  assert.match(JSON.stringify(host.reported), /"cause":"Its job is succeeded/);
  assert.deepEqual(await audit(host.context, { fix: true }), []);
});

test("an older attempt's guest is removed, unless its driver has just replaced it", async (t) => {
  const host = await openHost(t, { isDriven: true });
  const { context } = host;
  const { store } = context;
  await insertClaimed(store, "again");
  await host.create("again");
  const lost = verdict("guest_lost", "It was lost.");
  const change = { jobId: "again", attempt: 1, at: 3000 };
  await applyEvent(store, { ...change, event: "conclude", verdict: lost });
  await setMachineState(store, { ...change, state: "gone" });
  await applyEvent(store, { ...change, event: "requeue" });
  await claim(store, "again", 4000);
  // The driver holds the lock, and makes the new attempt's guest after the audit has decided and waits.
  const driver = Promise.withResolvers<void>();
  const driven = context.guestLock.run("again", () => driver.promise);
  const reached = Promise.withResolvers<void>();
  const guestLock: KeyedLock = {
    run(key, task) {
      reached.resolve();
      return context.guestLock.run(key, task);
    },
  };
  const auditing = audit({ ...context, guestLock }, { fix: true });
  await reached.promise;
  await host.create("again", 2);
  driver.resolve();
  await driven;
  assert.deepEqual(summary(await auditing), ["guest_of_other_attempt again"]);
  const { domains } = await context.hypervisor.listInventory();
  assert.deepEqual(
    domains.map(({ attempt }) => attempt),
    [2],
  );

  await context.hypervisor.remove("again");
  await host.create("again", 1);
  assert.deepEqual(summary(await audit(context, { fix: true })), ["guest_of_other_attempt again"]);
  assert.deepEqual((await context.hypervisor.listInventory()).directories, []);
});

test("the guest of a job that another host took over is removed, and the job does not change", async (t) => {
  const host = await openHost(t, { isDriven: true });
  const { store } = host.context;
  await boot(host, await insertClaimed(store, "taken"));
  await host.create("taken");
  await store.db.updateTable("jobs").set({ host_id: "elsewhere", attempt: 2 }).execute();
  assert.deepEqual(summary(await audit(host.context, { fix: true })), ["guest_without_job taken"]);
  assert.equal((await getMachine(store, { jobId: "taken", attempt: 1 }))?.state, "gone");
  const job = await getJob(store, "taken");
  assert.deepEqual([job?.state, job?.hostId, job?.attempt], ["booting", "elsewhere", 2]);
});

test("a guest that its driver removes during an audit leaves no record", async (t) => {
  const host = await openHost(t, { isDriven: true });
  const { store, hypervisor } = host.context;
  await boot(host, await insertClaimed(store, "taken"));
  await host.create("taken");
  await store.db.updateTable("jobs").set({ host_id: "elsewhere", attempt: 2 }).execute();
  // Like its driver, which detects the takeover at the same time.
  const listInventory = async () => {
    const guestInventory = await hypervisor.listInventory();
    await hypervisor.remove("taken");
    return guestInventory;
  };
  const context = { ...host.context, hypervisor: { ...hypervisor, listInventory } };
  assert.deepEqual(summary(await audit(context, { fix: true })), ["machine_without_guest taken"]);
  assert.equal((await getMachine(store, { jobId: "taken", attempt: 1 }))?.state, "gone");
});

test("the machine of an ended job is finished; the machine of an active job waits for its driver", async (t) => {
  const host = await openHost(t, { isDriven: false });
  const { store } = host.context;
  await insertClaimed(store, "ended");
  await end(store, "ended", "completed");
  await boot(host, await insertClaimed(store, "lost"));
  const leaks = await audit(host.context, { fix: true });
  assert.deepEqual(summary(leaks), ["machine_without_guest ended", "machine_without_guest lost"]);
  const lost = leaks.find(({ jobId }) => jobId === "lost");
  assert.deepEqual([lost?.remedy, lost?.isFixed], ["adopt", false]);
  assert.match(lost?.problem ?? "", /Start the orchestrator/);
  assert.equal((await getMachine(store, { jobId: "ended", attempt: 1 }))?.state, "gone");
  assert.equal((await getJob(store, "lost"))?.state, "booting");
});

test("a job without its machine record is retried, and its guest is removed", async (t) => {
  const host = await openHost(t, { isDriven: true });
  const { store, hypervisor } = host.context;
  await boot(host, await insertClaimed(store, "norecord"));
  await host.create("norecord");
  await store.db.deleteFrom("machines").execute();
  assert.deepEqual(summary(await audit(host.context, { fix: true })), ["job_without_machine norecord"]);
  assert.equal((await getJob(store, "norecord"))?.state, "queued");
  assert.deepEqual((await hypervisor.listInventory()).domains, []);
});

test("old temporary files are removed; new ones, those in use and a resumable download stay", async (t) => {
  const { context, dataDir } = await openHost(t, { isDriven: true });
  const images = join(dataDir, "images", ".solstice");
  const old = (path: string, ageMs = 48 * hourMs) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "half");
    const at = new Date(Date.now() - ageMs);
    utimesSync(path, at, at);
    return path;
  };
  const stale = [
    old(join(dataDir, "orchestrator.json.new")),
    old(join(dataDir, "image-facts", "debian.json.77.tmp")),
    old(join(images, "mapped.img.part.json.77.tmp")),
    old(join(images, "unnamed.img.unpacking")),
  ];
  const kept = [
    old(join(images, "mapped.img.part")),
    old(join(images, "mapped.img.part.json")),
    old(join(images, "unnamed.img.part")),
    old(join(images, "young.img.unpacking"), 0),
    old(join(images, "busy.img.unpacking")),
    old(join(images, "notes.txt")),
  ];
  const lock = acquireProcessLock(join(images, "busy.img.lock"), "preparing");
  t.after(() => lock.release());
  const ours = (leaks: readonly Leak[]) =>
    leaks
      .map(({ name }) => name)
      .filter((name) => name.startsWith(dataDir))
      .toSorted();
  assert.deepEqual(ours(await audit(context, { fix: true })), stale.toSorted());
  for (const path of stale) assert.ok(!existsSync(path), path);
  for (const path of kept) assert.ok(existsSync(path), path);

  // When the image exists, its download will not be resumed.
  old(join(dataDir, "images", "mapped.img"));
  assert.deepEqual(ours(await audit(context, { fix: true })), kept.slice(0, 2).toSorted());
});

test("the folder of a killed KVM probe is removed if it has only the probe's disk", async (t) => {
  const { context, dataDir } = await openHost(t, { isDriven: true });
  const folders = [0, 1].map(() => mkdtempSync(join(dataDir, "solstice-kvm-")));
  const [plain = "", used = ""] = folders;
  for (const folder of folders) writeFileSync(join(folder, "disk"), "");
  writeFileSync(join(used, "something"), "of another program");
  for (const folder of folders) utimesSync(folder, 1, 1);
  // A separate directory, because every other orchestrator of this user also cleans up the system's.
  const leaks = await audit({ ...context, temporaryDirectory: dataDir }, { fix: true });
  assert.equal(leaks.find(({ name }) => name === plain)?.isFixed, true);
  assert.match(leaks.find(({ name }) => name === used)?.problem ?? "", /not empty/);
  assert.ok(!existsSync(plain) && existsSync(join(used, "something")));
});

test("a failed repair is logged once, with its reason", async (t) => {
  const host = await openHost(t, { isDriven: true });
  await host.create("stubborn");
  const hypervisor = {
    ...host.context.hypervisor,
    remove: () => Promise.reject(new Error("no way")),
  };
  const context = { ...host.context, hypervisor };
  for (const _ of [1, 2]) {
    const [leak] = await audit(context, { fix: true });
    assert.deepEqual([leak?.name, leak?.isFixed, leak?.problem], [guestName("stubborn"), false, "no way"]);
  }
  assert.equal(host.reported.length, 1);
  assert.equal(context.audits.left.guest_without_job, 1);
});
