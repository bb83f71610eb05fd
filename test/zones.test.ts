/** The real orchestrator with real guests on the stand-in for an illumos host: the tiny image, under software emulation. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { readLog, submit, untilEnd, untilJob, untilLogged } from "./support/jobs.ts";
import type { OrchestratorProcess } from "./support/orchestrator.ts";
import { assertNothingLeft, openZonesHost, type ZonesHost } from "./support/zones.ts";

/** A host's whole life with one job has fewer commands that change something. */
const maxChanges = 60;

test("jobs in fresh zones: success with log and console, failure, cancel of a guest that refuses to shut down", async (context) => {
  const host = await openZonesHost(context, "--max-attempts", "1", "--max-concurrency", "2");
  const orchestrator = await host.start();
  const script =
    "cat /proc/sys/kernel/hostname; ip -4 addr show eth0 | grep -o 'inet [0-9./]*'; cat /etc/resolv.conf";
  const succeeding = await submit(orchestrator, { script });
  const failing = await submit(orchestrator, {
    script: "test -e /tmp/marker && exit 9; touch /tmp/marker; exit 4",
  });
  await context.test("success", async () => {
    const job = await untilEnd(orchestrator, succeeding);
    assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${orchestrator.log()}`);
    assert.equal(job.log?.completeness, "complete");
    const log = (await readLog(orchestrator, succeeding)).toString();
    assert.match(
      log,
      new RegExp(`^job-${succeeding}\ninet 10\\.88\\.0\\.\\d+/24\nnameserver 192\\.0\\.2\\.53\n$`),
    );
    const console = (await readLog(orchestrator, succeeding, { stream: "console" })).toString();
    assert.match(console, /starting boot\.sh/);
  });
  await context.test("failure", async () => {
    const job = await untilEnd(orchestrator, failing);
    assert.deepEqual([job.state, job.verdict?.exitCode], ["failed", 4], job.verdict?.message);
  });
  await context.test("cancel", async () => {
    const deaf = "printf '#!/bin/sh\\n' >/etc/acpi/PWRF/00000080; trap '' TERM; echo deaf; sleep 600";
    const id = await submit(orchestrator, { script: deaf });
    await untilLogged(orchestrator, id, "deaf");
    await orchestrator.api.cancel({ jobId: id });
    assert.equal((await untilEnd(orchestrator, id)).state, "cancelled");
  });
  await assertNothingLeft(host);
  assert.equal(await orchestrator.stop("SIGTERM"), 0, orchestrator.log());
});

test("kill -9 when a guest runs: it is adopted, and its console goes on; a host's restart takes it, and the job is tried again", async (context) => {
  const host = await openZonesHost(context);
  const first = await host.start();
  const id = await submit(first, { script: "echo begin; until [ -e /tmp/go ]; do sleep 1; done; echo end" });
  const short = await submit(first, { script: "echo begin; sleep 5; echo end" });
  await untilLogged(first, short, "begin");
  await untilLogged(first, id, "begin");
  await first.stop("SIGKILL");
  const second = await host.start();
  const adopted = await untilEnd(second, short);
  assert.deepEqual(
    [adopted.state, adopted.attempt],
    ["succeeded", 1],
    `${adopted.verdict?.message}\n${second.log()}`,
  );
  assert.equal((await readLog(second, short)).toString(), "begin\nend\n");
  await second.stop("SIGKILL");

  // Power is lost: temporary VNICs are gone with all guests.
  await host.standIn.rebootHost();
  const third = await host.start();
  const again = await untilJob(third, id, ({ state, attempt }) => attempt === 2 && state === "running");
  assert.equal(again.transitions.filter(({ to }) => to === "booting").length, 2, "its guest was gone");
  await third.api.cancel({ jobId: id });
  assert.equal((await untilEnd(third, id)).state, "cancelled");
  await assertNothingLeft(host);
});

for (const moment of ["before", "during"] as const) {
  test(`kill -9 ${moment} any command that changes the host: the next orchestrator ends the job, and nothing is left`, async (context) => {
    for (let at = moment === "before" ? 1 : 2; at <= maxChanges; at += 2) {
      const isKilled = await killAndGoOn(context, { at, moment });
      if (!isKilled) return;
    }
    assert.fail(`an orchestrator with one job changed its host more than ${maxChanges} times`);
  });
}

/** One host's life with one job, killed at one point. False where the life was over before. */
async function killAndGoOn(
  context: TestContext,
  kill: { at: number; moment: "before" | "during" },
): Promise<boolean> {
  let isKilled = false;
  await context.test(`at change ${kill.at}`, async (subtest) => {
    const host = await openZonesHost({ after: (work) => subtest.after(work) }, "--max-concurrency", "1");
    const first = await host.start(kill).catch(() => null);
    const id = first && (await submit(first, { script: "echo done" }).catch(() => null));
    const end = first && (await Promise.race([first.ended, untilOver(host, first, id)]));
    isKilled = end === null || end === "SIGKILL";
    if (!isKilled) return void (await first?.stop("SIGTERM"));
    const second = await host.start();
    // Killed before it served, it had no job to lose.
    if (id !== null) {
      const job = await untilEnd(second, id);
      assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${first?.log()}\n${second.log()}`);
      assert.equal((await readLog(second, id)).toString(), "done\n");
    }
    await assertNothingLeft(host);
    await second.stop("SIGKILL");
  });
  return isKilled;
}

/** Resolves once the job has ended and its guest is gone; not at all where the orchestrator is killed meanwhile. */
async function untilOver(
  host: ZonesHost,
  orchestrator: OrchestratorProcess,
  id: string | null,
): Promise<"over"> {
  if (id === null) return new Promise(() => {});
  await untilEnd(orchestrator, id).catch(() => new Promise(() => {}));
  await assertNothingLeft(host);
  return "over";
}
