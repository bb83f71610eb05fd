import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { randomJobId } from "../../../test/hypervisor-contract/contract.ts";
import { noopSpec, runnerFile } from "../../../test/hypervisor-contract/noop-harness.ts";
import { until } from "../../../test/support/until.ts";
import { silentLog } from "../../core/log.ts";
import type { GuestPower, Hypervisor } from "../hypervisor.ts";
import { guestPaths, placeInside } from "./guest-files.ts";
import { createProcessHypervisor } from "./process.ts";

describe("runners as processes", () => {
  let dataDir: string;
  let hypervisor: Hypervisor;
  const jobIds: string[] = [];
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "solstice-process-"));
    hypervisor = createProcessHypervisor({ dataDir, ownerId: "owner", log: silentLog });
    await hypervisor.prepare();
  });
  after(async () => {
    for (const jobId of jobIds) await hypervisor.remove(jobId);
    await hypervisor.close();
    await rm(dataDir, { recursive: true });
  });

  async function createWith(script: string): Promise<string> {
    const jobId = randomJobId();
    jobIds.push(jobId);
    await hypervisor.create(noopSpec({ jobId, attempt: 1, files: [runnerFile(script)] }));
    return jobId;
  }

  const consoleOf = async (jobId: string) => (await hypervisor.readConsole(jobId, 0, 100_000)).toString();
  const pathsOf = (jobId: string) => guestPaths(join(dataDir, "guests"), jobId);

  test("logs once that there is no isolation", async () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) };
    await createProcessHypervisor({ dataDir, ownerId: "owner", log }).prepare();
    assert.match(warnings.join(), /without any isolation/);
  });

  test("files of a job, including its output, cannot exceed its disk size; writing then fails as on a full disk", async () => {
    const jobId = await createWith(
      'dd if=/dev/zero of=big bs=1M count=1 seek=100000; echo "dd: $?"; ulimit -f',
    );
    await hypervisor.start(jobId);
    await untilPower(hypervisor, jobId, "stopped");
    const output = await consoleOf(jobId);
    assert.match(output, /File too large/);
    assert.match(output, /^dd: 1$/m);
    assert.doesNotMatch(output, /unlimited/);
  });

  test("a job gets no variable of the orchestrator's environment, and finds its files", async () => {
    const jobId = await createWith('env | sed "s/^/env: /"; pwd; ls "$SOLSTICE_CONF"');
    await hypervisor.start(jobId);
    await untilPower(hypervisor, jobId, "stopped");
    const output = await consoleOf(jobId);
    const { directory, work } = pathsOf(jobId);
    const names = [...output.matchAll(/^env: (\w+)=/gm)].map(([, name = ""]) => name);
    const ofTheGuest = [
      "PATH",
      "HOME",
      "TMPDIR",
      "LANG",
      "SOLSTICE_CONF",
      "SOLSTICE_WORK",
      "SOLSTICE_NOOP_GUEST",
    ];
    for (const name of ofTheGuest) assert.ok(names.includes(name), name);
    // Variables that a shell sets by itself.
    const allowed = [...ofTheGuest, "PWD", "OLDPWD", "SHLVL", "_"];
    assert.deepEqual(
      names.filter((name) => !allowed.includes(name)),
      [],
    );
    assert.ok(
      Object.keys(process.env).some((name) => !allowed.includes(name)),
      "the orchestrator's environment has other variables",
    );
    assert.ok(output.includes(`SOLSTICE_CONF=${directory}/run/solstice/runner.conf`));
    assert.ok(output.includes(`SOLSTICE_WORK=${work}`));
  });

  test("destroy also kills processes that steps moved into sessions of their own", async () => {
    const jobId = await createWith("setsid sleep 600 & echo child=$!; sleep 600");
    await hypervisor.start(jobId);
    await until("the child is printed", async () => /child=\d+/.test(await consoleOf(jobId)));
    const [, child] = /child=(\d+)/.exec(await consoleOf(jobId)) ?? [];
    assert.match(await readFile(`/proc/${child}/environ`, "utf8"), /SOLSTICE_NOOP_GUEST/);
    await hypervisor.destroy(jobId);
    // The process has ended, or is a zombie with an empty environment.
    assert.equal(await readFile(`/proc/${child}/environ`, "utf8").catch(() => ""), "");
    assert.equal(await hypervisor.power(jobId), "stopped");
  });

  test("a killed runner has its aftermath; a killed guest has crashed", async () => {
    const jobId = await createWith("kill -KILL $$");
    const { directory } = pathsOf(jobId);
    await writeFile(
      join(directory, "run/solstice/runner.sh"),
      '[ "$1" = aftermath ] && echo "the end is reported" && exit\nkill -KILL $$\n',
    );
    await hypervisor.start(jobId);
    await untilPower(hypervisor, jobId, "stopped");
    assert.match(await consoleOf(jobId), /the end is reported/);

    const victim = await createWith("kill -KILL $PPID");
    await hypervisor.start(victim);
    await untilPower(hypervisor, victim, "crashed");
  });

  test("a recycled process id is not our guest", async () => {
    const jobId = await createWith("exit 0");
    await writeFile(pathsOf(jobId).pid, `${process.pid}\n`);
    assert.equal(await hypervisor.power(jobId), "crashed");
    await hypervisor.requestShutdown(jobId);
    await hypervisor.destroy(jobId);
  });

  test("a guest outlives a killed orchestrator, and the next orchestrator can end it", async () => {
    const jobId = await createWith('echo "guest is up"; sleep 600');
    const orchestrator = spawn(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `import { createProcessHypervisor } from ${JSON.stringify(new URL("./process.ts", import.meta.url).href)};
         const log = { debug() {}, info() {}, warn() {}, error() {} };
         const hypervisor = createProcessHypervisor({ dataDir: process.argv[1], ownerId: "owner", log });
         await hypervisor.start(process.argv[2]);
         process.kill(process.pid, "SIGKILL");`,
        dataDir,
        jobId,
      ],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    const [, signal] = await once(orchestrator, "exit");
    assert.equal(signal, "SIGKILL");
    await untilPower(hypervisor, jobId, "running");
    await until("the guest is up", async () => /guest is up/.test(await consoleOf(jobId)));
    await hypervisor.start(jobId);
    await hypervisor.requestShutdown(jobId);
    await untilPower(hypervisor, jobId, "stopped");
  });

  test("files stay below their guest, or are rejected", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(".", "/", "a", "..", "\\") }), (path) => {
        try {
          assert.ok(placeInside("/data/guests/job-1", path).startsWith("/data/guests/job-1/"));
        } catch (error) {
          assert.equal((error as { code?: string }).code, "hypervisor_failed");
        }
      }),
    );
    assert.throws(() => placeInside("/data/guests/job-1", "/../job-2/x"), { code: "hypervisor_failed" });
    assert.equal(placeInside("/d/job-1", "/run/solstice/x"), "/d/job-1/run/solstice/x");
  });
});

/** Polls the power state, because the end of an orphaned process causes no notification. */
async function untilPower(hypervisor: Hypervisor, jobId: string, power: GuestPower): Promise<void> {
  await until(`${jobId} is ${power}`, async () => (await hypervisor.power(jobId)) === power);
}
