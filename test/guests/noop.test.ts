/** Tests the real orchestrator as a process, with the real runner script in child processes of the noop backend. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { exitCodes } from "../../src/cli/print/exit-codes.ts";
import { resultOf, runCli, startCli } from "../../src/cli/testing/run-cli.ts";
import { readLog, submit, untilEnd, untilJob, untilLogged, untilState } from "../support/jobs.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  shareOrchestrator,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { until } from "../support/until.ts";

const imageMap = `
default_label: any
aliases: { other: any }
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

const processFlags = ["--hypervisor", "noop", "--noop-runner", "process", "--runner-listen", "127.0.0.1:0"];

function processSetup(context: TestContext, ...flags: string[]): OrchestratorSetup {
  return makeSetup(context, imageMap, [...processFlags, ...flags]);
}

/** True when any part of a guest is left in a data directory. */
function leftovers({ dataDir }: OrchestratorSetup): string[] {
  const guests = join(dataDir, "guests");
  return existsSync(guests) ? readdirSync(guests).filter((name) => name.startsWith("job-")) : [];
}

describe("jobs of one orchestrator", () => {
  const caps = ["--max-concurrency", "3", "--capacity-map", "other=1", "--stop-timeout", "1s"];
  const shared = shareOrchestrator(imageMap, [...processFlags, ...caps]);

  test("a job runs its steps in order and stops at the first failure; its log is complete", async () => {
    const { setup, orchestrator } = shared;
    const steps = [
      { name: "one", run: "echo first; echo second >&2" },
      { name: "two", run: "printf 'no newline at the end'; exit 7" },
      { name: "three", run: "echo never" },
    ];
    const job = await untilEnd(orchestrator, await submit(orchestrator, { steps }));
    assert.equal(job.state, "failed");
    assert.equal(job.verdict?.reason, "step_failed");
    assert.equal(job.verdict?.exitCode, 7);
    assert.match(job.verdict?.message ?? "", /"two" exited with code 7/);
    assert.deepEqual(
      job.steps.map((step) => [step.name, step.state, step.exitCode]),
      [
        ["one", "succeeded", 0],
        ["two", "failed", 7],
        ["three", "skipped", undefined],
      ],
    );
    assert.equal((await readLog(orchestrator, job.id)).toString(), "first\nsecond\nno newline at the end");
    assert.equal(job.log?.completeness, "complete");
    // Without "booting" when the runner called before its boot was recorded.
    assert.match(
      job.transitions.map(({ to }) => to).join(" "),
      /^queued provisioning (booting )?running finalizing failed$/,
    );
    assert.deepEqual(leftovers(setup), []);
  });

  test("the same request_id is the same job, and a wrong request is refused with every problem", async () => {
    const { orchestrator } = shared;
    const request_id = randomUUID();
    const id = await submit(orchestrator, { request_id, script: "true" });
    assert.equal(await submit(orchestrator, { request_id, script: "true" }), id);
    await untilEnd(orchestrator, id);
    assert.equal(await submit(orchestrator, { request_id, script: "true" }), id);

    await assert.rejects(
      submit(orchestrator, { script: "x", steps: [], priority: 1000 }),
      /priority.*steps|steps.*priority/s,
    );
    await assert.rejects(submit(orchestrator, { script: "x", runs_on: "beos" }), /beos.*other, any/s);
  });

  test("running jobs never exceed a cap, and a full label does not delay others", async () => {
    const { orchestrator } = shared;
    const labels = ["other", "other", "other", "any", "any", "any"];
    const ids = await Promise.all(
      labels.map((runs_on) => submit(orchestrator, { runs_on, script: "sleep 0.3" })),
    );
    const jobs = await Promise.all(ids.map((id) => untilEnd(orchestrator, id)));
    assert.ok(jobs.every((job) => job.state === "succeeded"));

    const events = jobs.flatMap((job) =>
      job.transitions
        .filter(({ to }) => to === "provisioning" || to === "succeeded")
        .map(({ to, atMs }) => ({ at: atMs, label: job.label, change: to === "provisioning" ? 1 : -1 })),
    );
    // Within one millisecond, ends count before starts: a slot may be taken again in the millisecond in which it
    // became free.
    events.sort((a, b) => Number(a.at - b.at) || a.change - b.change);
    let running = 0;
    let runningOther = 0;
    let most = 0;
    for (const { label, change } of events) {
      running += change;
      if (label === "other") runningOther += change;
      most = Math.max(most, running);
      assert.ok(running <= 3 && runningOther <= 1, `${running} running, ${runningOther} of the capped label`);
    }
    assert.equal(most, 3);
  });

  test("a job can be cancelled while it waits and while it runs; its last output arrives", async () => {
    const { setup, orchestrator } = shared;
    const running = await submit(orchestrator, {
      runs_on: "other",
      script: "trap 'echo going; exit 1' TERM; echo started; while :; do sleep 0.1; done",
    });
    await untilLogged(orchestrator, running, "started");
    const waiting = await submit(orchestrator, { runs_on: "other", script: "echo never" });
    const why = await orchestrator.api.explain({ jobId: waiting });
    assert.equal(why.constraint, "label_cap");

    await orchestrator.api.cancel({ jobId: waiting });
    const never = await untilEnd(orchestrator, waiting);
    assert.equal(never.verdict?.reason, "cancelled_by_user");
    assert.deepEqual(
      never.transitions.map((transition) => transition.to),
      ["queued", "cancelled"],
    );

    await orchestrator.api.cancel({ jobId: running });
    const cancelled = await untilEnd(orchestrator, running);
    assert.equal(cancelled.state, "cancelled");
    // A shell may print that its `sleep` was terminated.
    assert.match((await readLog(orchestrator, running)).toString(), /^started\n(Terminated\n)?going\n/);
    assert.deepEqual(leftovers(setup), []);
  });

  test("a job that never ends is stopped at its limit", async () => {
    const { orchestrator } = shared;
    const id = await submit(orchestrator, { script: "echo on and on; sleep 1000", timeout_seconds: 1 });
    const job = await untilEnd(orchestrator, id);
    assert.equal(job.state, "timed_out");
    assert.equal(job.verdict?.reason, "job_timeout");
    assert.match((await readLog(orchestrator, id)).toString(), /on and on/);
  });
});

/** A `systemd-notify` that only records its arguments: no systemd runs here. */
function systemdNotify({ dataDir }: OrchestratorSetup) {
  const record = join(dataDir, "notified");
  writeFileSync(join(dataDir, "systemd-notify"), `#!/bin/sh\necho "$*" >>${record}\n`, { mode: 0o755 });
  const { PATH } = cleanEnvironment();
  return {
    environment: { NOTIFY_SOCKET: "/nonexistent/notify", PATH: `${dataDir}:${PATH}` },
    notified: () => (existsSync(record) ? readFileSync(record, "utf8").trimEnd().split("\n") : []),
  };
}

test("SIGUSR2 leaves a job that a drain waits for to the next start", async (context) => {
  const setup = processSetup(context, "--max-concurrency", "1");
  const systemd = systemdNotify(setup);
  const first = await startOrchestrator(setup, [], systemd.environment);
  const go = join(setup.dataDir, "go-on");
  const id = await submit(first, {
    script: `echo before; while [ ! -e ${go} ]; do echo waiting; sleep 0.05; done; echo after`,
  });
  await untilLogged(first, id, "waiting");
  const waiting = await submit(first, { script: "echo later" });
  await until("systemd is notified", () => systemd.notified().length === 1);
  first.signal("SIGTERM");
  await until("it drains", () => first.log().includes('"phase":"draining"'));
  assert.equal(await first.stop("SIGUSR2"), 0, first.log());
  assert.deepEqual(
    systemd.notified().map((line) => line.split(" ")[0]),
    ["READY=1", "STOPPING=1"],
  );

  const second = await startOrchestrator(setup);
  await once(spawn("touch", [go]), "exit");
  const job = await untilEnd(second, id);
  assert.deepEqual(
    [job.state, job.attempt, job.log?.completeness],
    ["succeeded", 1, "complete"],
    second.log(),
  );
  const lines = (await readLog(second, id)).toString().split("\n");
  assert.deepEqual([lines[0], lines.at(-2)], ["before", "after"]);
  assert.deepEqual(new Set(lines.slice(1, -2)), new Set(["waiting"]));
  assert.equal((await untilEnd(second, waiting)).state, "succeeded");
});

test("SIGHUP reloads image map, token and secrets and logs the changes; a mistake changes nothing", async (context) => {
  const setup = processSetup(context);
  const { environment, notified } = systemdNotify(setup);
  const [variables, secrets] = ["orchestrator.env", "secrets.yaml"].map((name) => join(setup.dataDir, name));
  assert.ok(variables && secrets);
  writeFileSync(variables, "MAX_CONCURRENCY=1\nMAX_HOLD=1\n");
  writeFileSync(secrets, "secrets: {}\n", { mode: 0o600 });
  const files = ["--environment-file", variables, "--secrets-file", secrets];
  const orchestrator = await startOrchestrator(setup, files, environment);
  const reloads = () => notified().filter((line) => line.startsWith("READY=1")).length - 1;
  const logged = (text: string) =>
    orchestrator
      .log()
      .split("\n")
      .filter((line) => line.includes(text))
      .map((line) => JSON.parse(line));

  writeFileSync(setup.imageMapPath, imageMap.replace("nocloud: true", "nocloud: perhaps, typo: 1"));
  writeFileSync(variables, "MAX_CONCURRENCY=1\nMAX_HOLDS=many\n");
  orchestrator.signal("SIGHUP");
  await until("the first reload is over", () => reloads() === 1);
  assert.equal(logged("did you mean MAX_HOLDS").length, 1, "the start warns of a misspelt setting");
  const [refused] = logged("not reloaded");
  assert.equal(refused.problems.length, 3, orchestrator.log());
  assert.match(refused.problems.join(), /MAX_HOLDS: got "many".*nocloud.*typo/s);
  assert.match(notified().at(-1) ?? "", /STATUS=Not reloaded: MAX_HOLDS: .* \(and 2 more\)/);
  assert.equal(
    (await untilEnd(orchestrator, await submit(orchestrator, { script: "true" }))).state,
    "succeeded",
  );

  const go = join(setup.dataDir, "go-on");
  const running = await submit(orchestrator, {
    script: `echo up; while [ ! -e ${go} ]; do sleep 0.05; done`,
  });
  await untilLogged(orchestrator, running, "up");
  const waiting = await submit(orchestrator, { script: "true" });
  writeFileSync(setup.imageMapPath, imageMap.replaceAll("any", "new"));
  const entry = "without_repository: true, value: very-secret-value";
  writeFileSync(secrets, `secrets: { NEW_SECRET: { ${entry} } }\n`);
  writeFileSync(variables, "MAX_CONCURRENCY=2\nLOG_LEVL=warn\n");
  orchestrator.signal("SIGHUP");
  await until("the second reload is over", () => reloads() === 2);
  assert.equal(logged("did you mean LOG_LEVEL").length, 1, "a reload warns as well");
  const [report] = logged("reloaded: images");
  assert.equal(
    report.msg,
    "reloaded: images: 1 added (new), 1 removed (any); labels or sizes changed; secrets: 1 added (NEW_SECRET); " +
      "needs a restart: MAX_CONCURRENCY; 1 waiting job needs an image that no image map has: any",
  );
  writeFileSync(go, "");
  assert.equal((await untilEnd(orchestrator, running)).state, "succeeded");
  const why = await orchestrator.api.explain({ jobId: waiting });
  assert.deepEqual([why.constraint, /image any/.test(why.message)], ["no_host", true], why.message);
  await assert.rejects(submit(orchestrator, { script: "true", runs_on: "any" }), /any.*other, new/s);
  const described = await orchestrator.api.describeHost({ images: true });
  assert.deepEqual(
    described.images.map(({ name }) => name),
    ["new"],
  );
  const mapText = readFileSync(setup.imageMapPath);
  assert.equal(described.imageMapSha256, createHash("sha256").update(mapText).digest("hex"));
  assert.equal(described.settings.find(({ flag }) => flag === "max-concurrency")?.value, "1");
  const script = '[ "$NEW_SECRET" = very-secret-value ] && echo "it is $NEW_SECRET"';
  const id = await submit(orchestrator, { script, runs_on: "new", secrets: ["NEW_SECRET"] });
  assert.equal((await untilEnd(orchestrator, id)).state, "succeeded");
  assert.doesNotMatch((await readLog(orchestrator, id)).toString(), /very-secret/);

  // The image is back: the waiting job starts, in its first attempt.
  writeFileSync(setup.imageMapPath, imageMap);
  orchestrator.signal("SIGHUP");
  const begun = await untilEnd(orchestrator, waiting);
  assert.deepEqual([begun.state, begun.attempt], ["succeeded", 1]);
  await until("the third reload is over", () => reloads() === 3);

  writeFileSync(variables, "MAX_CONCURRENCY=1\nAPI_TOKEN=new-token\n");
  orchestrator.signal("SIGHUP");
  await until("the fourth reload is over", () => reloads() === 4);
  await assert.rejects(orchestrator.api.capacity({}), /requires a token/);
  const headers = { Authorization: "Bearer new-token" };
  assert.equal((await orchestrator.api.capacity({}, { headers })).maxConcurrency, 1);
  assert.equal(logged("the API token was set").length, 1);
  assert.doesNotMatch(orchestrator.log(), /new-token|very-secret/);
});

test("solstice drain empties a host and waits for it; the drain survives a restart, until --end", async (context) => {
  const setup = processSetup(context, "--max-concurrency", "3");
  const first = await startOrchestrator(setup);
  const cli = (orchestrator: OrchestratorProcess, ...args: string[]) =>
    startCli(["drain", ...args], { env: { SOLSTICE_API_URL: orchestrator.apiUrl } });
  const go = join(setup.dataDir, "go-on");
  const running = await submit(first, { script: `echo up; while [ ! -e ${go} ]; do sleep 0.05; done` });
  await untilLogged(first, running, "up");
  const impatient = await resultOf(cli(first, "--timeout", "1s", "--json"));
  assert.equal(impatient.code, exitCodes.timedOut, impatient.stderr);
  const { draining_since_ms: since, jobs } = JSON.parse(impatient.stdout);
  assert.ok(since > 0);
  assert.deepEqual(jobs, [{ id: running, label: "any", state: "running", on_hold: false }]);

  const draining = cli(first);
  await draining.sawOutput("1 job is left there");
  const waiting = await submit(first, { script: "echo later" });
  const why = await first.api.explain({ jobId: waiting });
  assert.equal(why.constraint, "draining");
  assert.match(why.message, /solstice drain --end/);
  const [host] = (await first.api.capacity({})).hosts;
  assert.deepEqual([host?.state, host?.running], ["draining", 1]);
  await once(spawn("touch", [go]), "exit");
  const done = await resultOf(draining);
  assert.deepEqual([done.code, /is empty/.test(done.stdout)], [0, true]);
  assert.equal((await untilEnd(first, running)).state, "succeeded");

  assert.equal(await first.stop("SIGUSR2"), 0);
  assert.match(first.log(), /all guests of this host are removed/, "an empty host has nothing to hand over");
  const second = await startOrchestrator(setup);
  assert.equal((await second.api.explain({ jobId: waiting })).constraint, "draining");
  assert.equal((await resultOf(cli(second, "--end"))).code, 0);
  assert.equal((await untilEnd(second, waiting)).state, "succeeded");
  await assert.rejects(second.api.drain({ action: "stop" }), /start, end/);
});

test("a running job survives an exception in a library's event handler, and kill -9: it is adopted with its complete log", async (context) => {
  const setup = processSetup(context);
  const thrower = 'process.on("SIGWINCH", () => { throw new Error("assert(!this.paused)"); });';
  const preload = `--import=data:text/javascript,${encodeURIComponent(thrower)}`;
  const first = await startOrchestrator(setup, [], { NODE_OPTIONS: preload });
  const go = join(setup.dataDir, "go-on");
  const id = await submit(first, {
    script: `echo before; while [ ! -e ${go} ]; do echo waiting; sleep 0.05; done; echo after`,
  });
  await untilLogged(first, id, "waiting");
  first.signal("SIGWINCH");
  assert.equal(await first.ended, 1);
  const last = JSON.parse(first.log().trim().split("\n").at(-1) ?? "");
  assert.deepEqual([last.origin, last.err.message], ["uncaughtException", "assert(!this.paused)"]);

  const second = await startOrchestrator(setup);
  const had = (await readLog(second, id)).length;
  await until("more of its log has come", async () => (await readLog(second, id)).length > had);
  await second.stop("SIGKILL");
  const third = await startOrchestrator(setup);
  writeFileSync(go, "");
  const job = await untilEnd(third, id);
  assert.equal(job.state, "succeeded", third.log());
  assert.deepEqual([job.attempt, job.log?.completeness], [1, "complete"]);
  const lines = (await readLog(third, id)).toString().split("\n");
  assert.equal(lines[0], "before");
  assert.deepEqual(lines.slice(-3), ["waiting", "after", ""]);
  assert.deepEqual(new Set(lines.slice(1, -2)), new Set(["waiting"]));
});

test("kill -9 in any state of a job loses and repeats nothing", async (context) => {
  const setup = processSetup(context, "--max-concurrency", "1");
  let running = await startOrchestrator(setup);
  for (const state of ["queued", "provisioning", "booting", "running", "finalizing"]) {
    await context.test(state, async () => {
      const first = running;
      const ids = [];
      for (let count = 0; count < 2; count++)
        ids.push(await submit(first, { script: "sleep 0.2; echo done" }));
      const [one = "", two = ""] = ids;
      // An attempt has no "booting" when the runner called before its boot was recorded.
      const isBooting = state === "booting";
      // Only the second job is certain to wait for a while.
      const passed = (job: { state: string; transitions: { to: string }[] }) =>
        job.state === state ||
        job.transitions.some(({ to }) => to === state || (isBooting && to === "running"));
      await untilJob(first, state === "queued" ? two : one, passed);
      await first.stop("SIGKILL");

      const second = await startOrchestrator(setup);
      running = second;
      for (const id of ids) {
        const job = await untilEnd(second, id);
        assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${second.log()}`);
        assert.equal((await readLog(second, id)).toString(), "done\n");
        const ends = job.transitions.filter(({ to }) => to === "succeeded");
        assert.equal(ends.length, 1);
      }
      assert.deepEqual(leftovers(setup), []);
    });
  }
});

test("on SIGTERM running jobs may end, waiting jobs stay on disk, and the next start runs them", async (context) => {
  const setup = processSetup(context, "--max-concurrency", "1");
  const first = await startOrchestrator(setup);
  const go = join(setup.dataDir, "go-on");
  const running = await submit(first, { script: `echo up; while [ ! -e ${go} ]; do sleep 0.05; done` });
  const waiting = await submit(first, { script: "echo later" });
  await untilLogged(first, running, "up");
  first.signal("SIGTERM");
  await assert.rejects(async () => {
    // Until the signal has arrived, a submission may still be accepted.
    for (;;) await submit(first, { script: "true", priority: -100 });
  }, /shutting down/);
  await once(spawn("touch", [go]), "exit");
  assert.equal(await first.ended, 0);

  const second = await startOrchestrator(setup);
  const { job: ended } = await second.api.get({ jobId: running });
  assert.equal(ended?.state, "succeeded");
  assert.equal((await untilEnd(second, waiting)).state, "succeeded");
});

test("after the drain time, or at a second signal, the job goes back to the queue", async (context) => {
  const setup = processSetup(context, "--stop-timeout", "1s");
  const first = await startOrchestrator(setup, ["--drain-timeout", "1s"]);
  const id = await submit(first, { script: "echo up; sleep 1000" });
  await untilLogged(first, id, "up");
  first.signal("SIGTERM");
  assert.equal(await first.ended, 0, first.log());
  assert.deepEqual(leftovers(setup), []);

  const second = await startOrchestrator(setup, ["--drain-timeout", "1h"]);
  const again = await untilState(second, id, "running");
  assert.equal(again.attempt, 2);
  assert.equal(again.maxAttempts, 3, "a requested stop of the host costs the job no attempt");
  for (const signal of ["SIGTERM", "SIGINT"] as const) second.signal(signal);
  assert.equal(await second.ended, 0, second.log());
  assert.deepEqual(leftovers(setup), []);

  const third = await startOrchestrator(setup);
  const last = await untilState(third, id, "running");
  assert.deepEqual([last.attempt, last.maxAttempts], [3, 4]);
  await third.api.cancel({ jobId: id });
  await untilEnd(third, id);
});

test("a second orchestrator on a data directory is refused; the first keeps running, and commands read its jobs", async (context) => {
  const setup = processSetup(context);
  const first = await startOrchestrator(setup);
  const arguments_ = [
    "orchestrator",
    "--config",
    setup.imageMapPath,
    "--data-dir",
    setup.dataDir,
    "--hypervisor",
    "noop",
  ];
  const second = spawn(solstice, arguments_, { env: cleanEnvironment() });
  let message = "";
  second.stderr.on("data", (data) => {
    message += data;
  });
  const [code] = await once(second, "close");
  assert.notEqual(code, 0);
  assert.match(message, new RegExp(`${first.pid}`));
  const job = await untilEnd(first, await submit(first, { script: "true" }));
  assert.equal(job.state, "succeeded");

  const env = { SOLSTICE_DATA_DIR: setup.dataDir, HYPERVISOR: "libvirt" };
  const listed = await runCli(["images", "--json"], { env });
  const { images, orchestrator } = JSON.parse(listed.stdout);
  assert.deepEqual([images[0].name, orchestrator.api_url], ["any", first.apiUrl], listed.stderr);
  assert.deepEqual([orchestrator.data_dir, orchestrator.image_map], [setup.dataDir, setup.imageMapPath]);
  assert.match(listed.stderr, /HYPERVISOR is libvirt here/);
  await first.stop("SIGKILL");
  // The first orchestrator's record is still there.
  assert.equal((await runCli(["jobs"], { env })).code, 69);
  assert.match((await runCli(["images"], { env })).stdout, /No orchestrator is running: /);
});
