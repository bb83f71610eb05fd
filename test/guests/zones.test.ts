/**
 * Tests the real orchestrator with real guests on the stand-in for an illumos host: the tiny image, under software
 * emulation.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { anyStep, describePoint, type KillPoint } from "../hypervisor-contract/contract/kills/steps.ts";
import { assertNothingLeft, openZonesHost, type ZonesHost } from "../support/guests/zones.ts";
import { readLog, submit, untilEnd, untilLogged } from "../support/jobs.ts";
import type { OrchestratorProcess } from "../support/orchestrator.ts";
import { sample } from "../support/sampling.ts";

/**
 * Approximate number of commands that change a host while one job runs on it; the first make the pool and the
 * network.
 */
const changesOfALife = 27;

/** Least number of such commands in a life that succeeds at its first attempt. */
const leastChangesOfALife = 24;

/** Number of orchestrators that are killed in `npm test`. */
const sampledKills = 1;

test("jobs in fresh zones: kill -9 while guests run, which are adopted; success with log and console; cancel; a host's restart", async (context) => {
  const host = await openZonesHost(context, "qemu", "--max-concurrency", "2");
  const first = await host.start();
  const script = `cat /proc/sys/kernel/hostname; ip -4 addr show eth0 | grep -o 'inet [0-9./]*'
cat /etc/resolv.conf; sleep 5; echo end`;
  const succeeding = await submit(first, { script });
  const deaf = await submit(first, {
    script: "printf '#!/bin/sh\\n' >/etc/acpi/PWRF/00000080; trap '' TERM; echo deaf; sleep 600",
  });
  await untilLogged(first, succeeding, "nameserver");
  await untilLogged(first, deaf, "deaf");
  await first.stop("SIGKILL");
  const second = await host.start();

  await context.test("an adopted job succeeds, and its log and console are complete", async () => {
    const job = await untilEnd(second, succeeding);
    assert.deepEqual([job.state, job.attempt], ["succeeded", 1], `${job.verdict?.message}\n${second.log()}`);
    assert.equal(job.log?.completeness, "complete");
    const log = (await readLog(second, succeeding)).toString();
    assert.match(
      log,
      new RegExp(`^job-${succeeding}\ninet 10\\.88\\.0\\.\\d+/24\nnameserver 192\\.0\\.2\\.53\nend\n$`),
    );
    const console = (await readLog(second, succeeding, { stream: "console" })).toString();
    assert.match(console, /starting boot\.sh/);
  });
  await context.test(
    "an adopted job is cancelled: its guest, which refuses to shut down, is ended",
    async () => {
      await second.api.cancel({ jobId: deaf });
      const job = await untilEnd(second, deaf);
      assert.deepEqual([job.state, job.attempt], ["cancelled", 1]);
      await assertNothingLeft(host);
    },
  );
  await context.test("a host's restart ends its guest: the job is retried, and fails only then", async () => {
    host.standIn.setGuests("scripted");
    const go = join(host.setup.dataDir, "go-on");
    const id = await submit(second, {
      script: `echo begun; until [ -e ${go} ]; do sleep 0.1; done; exit 4`,
    });
    await untilLogged(second, id, "begun");
    await second.stop("SIGKILL");
    // After a power failure, temporary VNICs and all guests are gone.
    await host.standIn.rebootHost();
    writeFileSync(go, "");
    const third = await host.start();
    const job = await untilEnd(third, id);
    assert.deepEqual([job.state, job.verdict?.exitCode, job.attempt], ["failed", 4, 2], job.verdict?.message);
    assert.equal(job.transitions.filter(({ to }) => to === "provisioning").length, 2, "its guest was gone");
    assert.equal((await readLog(third, id)).toString(), "begun\n");
    await assertNothingLeft(host);
    assert.equal(await third.stop("SIGTERM"), 0, third.log());
  });
});

test("an orchestrator is killed at a command that changes its host: the next one ends the job, and nothing is left", async (context) => {
  const points = Array.from({ length: changesOfALife }, (_, index) => index + 1).flatMap((nth) =>
    (["before", "orphaned"] as const).map((moment) => ({ step: anyStep, nth, moment })),
  );
  const chosen = sample("kills of an orchestrator with zones", points, sampledKills);
  const killed: boolean[] = [];
  for (const point of chosen) killed.push(await killAndGoOn(context, point));
  const isWithinLife = chosen.some(({ nth }) => nth <= leastChangesOfALife);
  assert.ok(killed.includes(true) || !isWithinLife, "no orchestrator came to its kill point");
});

/** One host's life with one job, killed at one point. False when the life ended before. */
async function killAndGoOn(context: TestContext, point: KillPoint): Promise<boolean> {
  let isKilled = false;
  await context.test(describePoint(point), async (subtest) => {
    const host = await openZonesHost(
      { after: (work) => subtest.after(work) },
      "scripted",
      "--max-concurrency",
      "1",
    );
    const first = await host.start(point).catch(() => null);
    const id = first && (await submit(first, { script: "echo done" }).catch(() => null));
    const end = first && (await Promise.race([first.ended, untilOver(host, first, id)]));
    isKilled = end === null || end === "SIGKILL";
    if (!isKilled) return void (await first?.stop("SIGTERM"));
    const second = await host.start();
    // Killed before it accepted calls, the orchestrator had no job to lose.
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

/** Resolves once the job has ended and its guest is gone; never when the orchestrator is killed meanwhile. */
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
