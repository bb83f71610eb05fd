/**
 * Tests two orchestrators as processes on one PostgreSQL: leases, takeover, fencing, and any host's API for any job.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { gatewayAddress, noLibvirt } from "../support/guests/libvirt.ts";
import { readLog, submit, untilEnd, untilJob, untilLogged, untilState } from "../support/jobs.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";
import {
  administerPostgres,
  type PrivatePostgres,
  startPrivatePostgres,
} from "../support/servers/private-postgres.ts";
import { sharedPostgres } from "../support/servers/servers.ts";
import { until } from "../support/until.ts";

const database = await sharedPostgres();
after(() => database.stop());

const size = "nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 }";
const imageMap = (...names: string[]) =>
  [
    `default_label: ${names[0]}`,
    "images:",
    ...names.map((name) => `  ${name}: { local_path: /nonexistent/${name}.img, ${size} }`),
    "",
  ].join("\n");

/** The flags of a host whose guests are processes, with a lease short enough to wait for. */
const processFlags = ["--hypervisor", "noop", "--noop-runner", "process", "--runner-listen", "127.0.0.1:0"];
const leaseSeconds = 3;
const shortLease = ["--lease-timeout", `${leaseSeconds}s`];

interface Host {
  readonly setup: OrchestratorSetup;
  readonly process: OrchestratorProcess;
  readonly hostId: string;
}

async function startHost(
  context: TestContext,
  url: string,
  options: { map?: string; flags?: readonly string[] } = {},
): Promise<Host> {
  const flags = [...processFlags, ...shortLease, "--database-url", url, ...(options.flags ?? [])];
  return restartHost(makeSetup(context, options.map ?? imageMap("any"), flags));
}

/** Two hosts, started in parallel. */
function startTwo(context: TestContext, url: string): Promise<[Host, Host]> {
  return Promise.all([startHost(context, url), startHost(context, url)]);
}

async function restartHost(setup: OrchestratorSetup, environment: NodeJS.ProcessEnv = {}): Promise<Host> {
  const process = await startOrchestrator(setup, [], environment);
  const { hosts } = await process.api.capacity({});
  return { setup, process, hostId: hosts[0]?.hostId ?? "" };
}

function guestsOf({ setup }: Host): string[] {
  const guests = join(setup.dataDir, "guests");
  return existsSync(guests) ? readdirSync(guests).filter((name) => name.startsWith("job-")) : [];
}

/** A job that ends when `file` exists, and prints its working directory, which shows the host of its guest. */
const untilFile = (file: string) => `echo started; while [ ! -e ${file} ]; do sleep 0.1; done; echo ended`;

const endless = "echo started; sleep 1000";

/** The host that runs a job, and the other one. */
async function findHolder(hosts: [Host, Host], jobId: string): Promise<{ holder: Host; other: Host }> {
  const job = await untilState(hosts[0].process, jobId, "running");
  const [holder, other] = job.hostId === hosts[0].hostId ? hosts : [hosts[1], hosts[0]];
  assert.equal(job.hostId, holder.hostId);
  return { holder, other };
}

/** Blocks the event loop of the first host, on SIGWINCH, for several leases. */
function blockEventLoop(): string {
  const held = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)";
  const heldMs = leaseSeconds * 4000;
  const hold = `process.on("SIGWINCH", () => { const end = Date.now() + ${heldMs}; while (Date.now() < end) ${held}; console.error("held"); });`;
  return `--import=data:text/javascript,${encodeURIComponent(hold)}`;
}

/** Its job was started when the host was alone. */
async function blockFirst([first, second]: [Host, Host], { jobId, go }: { jobId: string; go: string }) {
  first.process.signal("SIGWINCH");
  await until("the loop is free again", () => first.process.log().split("\n").includes("held"), 90);
  await until("the host reports it", () =>
    first.process.log().includes("a separate thread renewed the lease"),
  );
  assert.doesNotMatch(second.process.log(), /lease of another host expired/);
  const hosts = (await second.process.api.capacity({})).hosts.map(({ state }) => state);
  assert.deepEqual(hosts, ["serving", "serving"]);
  writeFileSync(go, "");
  const job = await untilEnd(second.process, jobId);
  assert.deepEqual([job.state, job.attempt, job.hostId], ["succeeded", 1, first.hostId]);
}

/** The hosts afterwards: the restarted one, and the other. */
async function killHolder(hosts: [Host, Host]): Promise<[Host, Host]> {
  const jobId = await submit(hosts[0].process, { script: endless });
  const { holder, other } = await findHolder(hosts, jobId);
  await untilLogged(other.process, jobId, "started");
  await holder.process.stop("SIGKILL");

  const again = await untilJob(other.process, jobId, (job) => job.attempt === 2 && job.state === "running");
  assert.equal(again.hostId, other.hostId);
  // Its old guest still runs: it cannot call any host, and its results do not count.
  assert.equal(guestsOf(holder).length, 1);
  const back = await restartHost(holder.setup);
  assert.deepEqual(guestsOf(back), []);
  const [first] = (await other.process.api.capacity({})).hosts.filter((host) => host.hostId === back.hostId);
  assert.equal(first?.state, "serving");

  await other.process.api.cancel({ jobId });
  const ended = await untilEnd(back.process, jobId);
  // A runner may call before its boot is on record; the state table allows an attempt without "booting".
  const changes = ended.transitions.filter(({ to }) => to !== "booting");
  assert.deepEqual(
    changes.map(({ to, attempt, reason, hostId }) => [to, attempt, reason, hostId]),
    [
      ["queued", 0, "", ""],
      ...["provisioning", "running"].map((to) => [to, 1, "", holder.hostId]),
      ["finalizing", 1, "host_lost", holder.hostId],
      ["queued", 1, "host_lost", holder.hostId],
      ...["provisioning", "running"].map((to) => [to, 2, "", other.hostId]),
      ["finalizing", 2, "cancelled_by_user", other.hostId],
      ["cancelled", 2, "cancelled_by_user", other.hostId],
    ],
  );
  return [back, other];
}

async function restartHolder(hosts: [Host, Host], url: string): Promise<void> {
  const jobId = await submit(hosts[0].process, { script: endless });
  const { holder, other } = await findHolder(hosts, jobId);
  await untilLogged(other.process, jobId, "started");
  assert.equal(await holder.process.stop("SIGUSR2"), 0, holder.process.log());
  const leftAlone = async () => (await renewalsOf(url)).get(other.hostId) ?? 0;
  const since = await leftAlone();
  await until("two leases pass", async () => (await leftAlone()) > since + 2 * renewalsPerLease);
  const [stateOfHolder] = await statesOf(other, holder.hostId);
  assert.deepEqual(stateOfHolder, "restarting");
  const job = await untilState(other.process, jobId, "running");
  assert.deepEqual([job.attempt, job.hostId], [1, holder.hostId]);

  const runnerListen = ["--runner-listen", new URL(holder.process.runnerUrl).host];
  const grace = ["--restart-grace", `${leaseSeconds + 1}s`];
  const back = await restartHost({
    ...holder.setup,
    flags: [...holder.setup.flags, ...runnerListen, ...grace],
  });
  assert.deepEqual(await statesOf(other, holder.hostId), ["serving"]);
  assert.equal((await untilState(back.process, jobId, "running")).attempt, 1);
  assert.equal(await back.process.stop("SIGUSR2"), 0, back.process.log());
  const again = await untilJob(
    other.process,
    jobId,
    (seen) => seen.attempt === 2 && seen.state === "running",
  );
  assert.equal(again.hostId, other.hostId);
  await other.process.api.cancel({ jobId });
  await untilEnd(other.process, jobId);
}

async function statesOf(called: Host, hostId: string): Promise<string[]> {
  const { hosts } = await called.process.api.capacity({});
  return hosts.filter((host) => host.hostId === hostId).map(({ state }) => state);
}

async function stopHolder(hosts: [Host, Host], url: string): Promise<void> {
  const jobId = await submit(hosts[0].process, { script: endless });
  const { holder, other } = await findHolder(hosts, jobId);
  await recordLosses(url);
  holder.process.signal("SIGSTOP");
  await untilJob(other.process, jobId, (job) => job.attempt === 2 && job.state === "running");
  holder.process.signal("SIGCONT");
  await until("the old guest is gone", () => guestsOf(holder).length === 0);
  assert.equal((await holder.process.api.get({ jobId })).job?.state, "running");
  await other.process.api.cancel({ jobId });
  const ended = await untilEnd(holder.process, jobId);
  assert.deepEqual([ended.state, ended.attempt, ended.hostId], ["cancelled", 2, other.hostId]);
  assert.deepEqual(await lossesOf(url), [holder.hostId]);
  const next = await submit(other.process, { script: "echo well" });
  assert.equal((await untilEnd(holder.process, next)).state, "succeeded");
}

test("two hosts of one database", async (context) => {
  const url = await database.createDatabase();
  const flags = [...processFlags, ...shortLease, "--database-url", url];
  const first = await restartHost(makeSetup(context, imageMap("any"), flags), {
    NODE_OPTIONS: blockEventLoop(),
  });
  const go = join(first.setup.dataDir, "go");
  const jobId = await submit(first.process, { script: untilFile(go) });
  await untilLogged(first.process, jobId, "started");
  let hosts: [Host, Host] = [first, await startHost(context, url)];
  await context.test("a host whose event loop is blocked keeps its lease, and its job runs once", () =>
    blockFirst(hosts, { jobId, go }),
  );
  await context.test(
    "a host that was stopped for longer than its lease does not touch the jobs that it lost",
    () => stopHolder(hosts, url),
  );
  await context.test("a killed host's job is taken over, and the restarted host only cleans up", async () => {
    hosts = await killHolder(hosts);
  });
  await context.test("a host that restarts keeps its jobs for RESTART_GRACE, and loses them after it", () =>
    restartHolder(hosts, url),
  );
});

test("hosts with different images and caps: each runs its own, and any host's API serves any job", async (context) => {
  const url = await database.createDatabase();
  const flags = ["--max-concurrency", "4"];
  const [apples, pears] = await Promise.all([
    startHost(context, url, { map: imageMap("apple", "both"), flags }),
    startHost(context, url, {
      map: imageMap("pear", "both"),
      flags: [...flags, "--capacity-map", "pear=1"],
    }),
  ]);
  // Each label is requested at the host that does not have it.
  const apple = await untilEnd(
    pears.process,
    await submit(pears.process, { runs_on: "apple", script: "true" }),
  );
  assert.deepEqual([apple.state, apple.hostId], ["succeeded", apples.hostId]);
  await assert.rejects(
    submit(pears.process, { runs_on: "plum", script: "true" }),
    /plum.*pear, both, apple/s,
  );

  const script = "trap 'echo going; exit 1' TERM; echo started; while :; do sleep 0.1; done";
  const first = await submit(apples.process, { runs_on: "pear", script });
  await untilLogged(apples.process, first, "started");
  const second = await submit(apples.process, { runs_on: "pear", script: "true" });
  const why = await apples.process.api.explain({ jobId: second });
  assert.equal(why.constraint, "label_cap");
  assert.match(why.message, new RegExp(`^Host ${pears.hostId}: Label pear is full: 1 of 1`));
  const { hosts } = await apples.process.api.capacity({});
  assert.deepEqual(
    hosts.map((host) => [host.hostId, host.state, host.running, host.readyLabels]),
    [
      [apples.hostId, "serving", 0, ["apple", "both"]],
      [pears.hostId, "serving", 1, ["pear", "both"]],
    ],
  );
  await apples.process.api.cancel({ jobId: first });
  const cancelled = await untilEnd(apples.process, first);
  assert.deepEqual([cancelled.state, cancelled.hostId], ["cancelled", pears.hostId]);
  assert.match((await readLog(apples.process, first)).toString(), /^started\n(.*\n)*going\n/);
  assert.equal((await untilEnd(apples.process, second)).hostId, pears.hostId);

  // The label of a host that was shut down stays known: the job waits, and the reason names that host.
  assert.equal(await pears.process.stop("SIGTERM"), 0);
  const third = await submit(apples.process, { runs_on: "pear", script: "true" });
  const alone = await apples.process.api.explain({ jobId: third });
  assert.equal(alone.constraint, "no_host");
  assert.match(alone.message, new RegExp(`${pears.hostId} served it until`));
  const gone = (await apples.process.api.capacity({})).hosts.find((host) => host.hostId === pears.hostId);
  assert.deepEqual([gone?.state, gone?.message], ["lost", "The host was shut down."]);
  const back = await restartHost(pears.setup);
  assert.equal((await untilEnd(apples.process, third)).hostId, back.hostId);
});

test("while the database is unavailable for longer than a lease, jobs keep running, and no host is taken over", async (context) => {
  const own = await startPrivatePostgres();
  context.after(() => own.stop());
  const url = await own.createDatabase();
  const hosts = await startTwo(context, url);
  const go = join(hosts[0].setup.dataDir, "go");
  const script = untilFile(go);
  const ids = [];
  for (const host of hosts) ids.push(await submit(host.process, { script }));
  for (const id of ids) await untilLogged(hosts[0].process, id, "started");
  await recordLosses(url);
  await outage(own, leaseSeconds * 1500);
  const since = await renewalsOf(url);
  // One more lease of both hosts, in which a host that counted the outage would take over the other's jobs.
  await until("each lease is renewed for longer than it lasts", async () => {
    const now = await renewalsOf(url);
    return [...now].every(([hostId, renewals]) => renewals > (since.get(hostId) ?? 0) + renewalsPerLease);
  });
  writeFileSync(go, "");
  for (const id of ids) {
    const ended = await untilEnd(hosts[1].process, id);
    assert.deepEqual([ended.state, ended.attempt], ["succeeded", 1]);
    assert.equal((await readLog(hosts[1].process, id)).toString(), "started\nended\n");
  }
  assert.deepEqual(await lossesOf(url), []);
});

/** Number of renewals of a lease within its duration. */
const renewalsPerLease = 5;

/** A real pause: the duration of the outage is the subject of this test. */
async function outage(server: PrivatePostgres, ms: number): Promise<void> {
  await server.kill();
  await delay(ms);
  await server.start();
}

async function rowsOf<Row extends object>(url: string, query: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(query)).rows;
  } finally {
    await client.end();
  }
}

async function renewalsOf(url: string): Promise<Map<string, number>> {
  const rows = await rowsOf<{ id: string; renewals: number }>(
    url,
    "select id, renewals::int as renewals from hosts",
  );
  return new Map(rows.map(({ id, renewals }) => [id, renewals]));
}

/**
 * Makes the database record every host that was declared lost: a host that comes back clears this with its next
 * renewal.
 */
async function recordLosses(url: string): Promise<void> {
  await administerPostgres(
    url,
    `create table losses (host_id text not null);
     create function record_loss() returns trigger language plpgsql as
       $$ begin insert into losses values (new.id); return null; end $$;
     create trigger record_loss after update on hosts for each row
       when (old.lost_at is null and new.lost_at is not null) execute function record_loss()`,
  );
}

async function lossesOf(url: string): Promise<string[]> {
  return (await rowsOf<{ host_id: string }>(url, "select host_id from losses")).map((row) => row.host_id);
}

test("a job that fails to boot on one host is retried on another host first", async (context) => {
  const url = await database.createDatabase();
  // Guests of this host call a closed port: each boot fails.
  const failing = await startHost(context, url, {
    map: imageMap("any", "only"),
    flags: ["--runner-url", "http://127.0.0.1:9", "--boot-timeout", "15s"],
  });
  const well = await startHost(context, url, {
    map: imageMap("any", "well"),
    flags: ["--max-concurrency", "1"],
  });
  // The working host is busy until the other one has taken the job.
  const go = join(failing.setup.dataDir, "go");
  const occupant = await submit(failing.process, { runs_on: "well", script: untilFile(go) });
  await untilLogged(failing.process, occupant, "started");
  const jobId = await submit(failing.process, { runs_on: "any", script: "echo here" });
  const first = await untilState(failing.process, jobId, "booting");
  assert.equal(first.hostId, failing.hostId);
  writeFileSync(go, "");
  await untilEnd(failing.process, occupant);

  const ended = await untilEnd(failing.process, jobId);
  assert.deepEqual([ended.state, ended.attempt, ended.hostId], ["succeeded", 2, well.hostId]);
  assert.deepEqual(
    ended.transitions
      .filter(({ to }) => to === "provisioning" || to === "queued")
      .map((t) => [t.to, t.reason, t.hostId]),
    [
      ["queued", "", ""],
      ["provisioning", "", failing.hostId],
      ["queued", "boot_timeout", failing.hostId],
      ["provisioning", "", well.hostId],
    ],
  );

  // No other host has this label: the job is retried on the same host, without a wait for others.
  const only = await submit(failing.process, { runs_on: "only", script: "true" });
  const lost = await untilEnd(well.process, only);
  assert.deepEqual([lost.state, lost.attempt, lost.hostId], ["infra_error", 2, failing.hostId]);
});

test("a guest on hold and a kept file are reached through another host's API", {
  skip: noLibvirt,
}, async (context) => {
  const url = await database.createDatabase();
  const called = await startHost(context, url);
  // An API on loopback is not published to other hosts; the address of the guests' network can be reached.
  const place = ["--database-url", url, "--api-listen", `${await gatewayAddress()}:0`];
  // With the lease of the other host: a longer lease is renewed less often, and the other host would take the job
  // over.
  const holderFlags = [...processFlags, ...shortLease, ...place];
  const holder = makeSetup(context, imageMap("special"), holderFlags);
  const token = { API_TOKEN: "one-token-for-both-hosts" };
  await startOrchestrator(holder, [], token);
  const jobId = await submit(called.process, {
    script: "echo kept >file; exit 3",
    runs_on: "special",
    artifacts: [{ paths: ["file"] }],
    hold_on_failure_seconds: 600,
  });
  const job = await untilJob(called.process, jobId, ({ hold }) => hold?.state === "on_hold");
  assert.notEqual(job.hostId, called.hostId);

  const env = { ...cleanEnvironment(), ...token, SOLSTICE_API_URL: called.process.apiUrl };
  const run = (args: readonly string[], input = "") =>
    new Promise<string>((resolve, reject) => {
      const child = execFile(solstice, args, { env }, (error, stdout) =>
        error ? reject(error) : resolve(stdout),
      );
      child.stdin?.end(input);
    });
  assert.equal(await run(["shell", jobId], "cat file; echo $SOLSTICE_JOB_ID\n"), `kept\n${jobId}\n`);
  const fetched = join(holder.dataDir, "fetched");
  await run(["artifacts", "get", jobId, "-o", fetched]);
  assert.equal(readFileSync(join(fetched, "file"), "utf8"), "kept\n");
  await run(["release", jobId]);
  assert.equal((await untilEnd(called.process, jobId)).state, "failed");
});
