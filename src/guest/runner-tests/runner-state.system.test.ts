/** The runner's own state on a disk that the job fills: every write is checked, and no step is dropped. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { runCommand } from "../../host/command.ts";
import { guestKinds, guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
const mounts: string[] = [];
before(async () => {
  harness = await RunnerHarness.create();
});
after(async () => {
  for (const mount of mounts) await runCommand("umount", ["-l", mount]);
  await harness.close();
});

/** Mounts a small file system where the runner and its state are stored. */
async function smallDisk(home: string, options: string): Promise<void> {
  await runCommand("mount", ["-t", "tmpfs", "-o", options, "tmpfs", home]);
  mounts.push(home);
}

const skip = process.getuid?.() === 0 ? false : "mounting a small file system needs root";
const always = (name: string, run: string) => ({ name, run, always: true });

describe("a job that fills the disk of the runner's state", { concurrency: 4 }, () => {
  for (const kind of guestsFor("a full state disk")) {
    test(`all the always-run steps run, and the end arrives: ${kind.name}`, {
      skip: skip || missingFor(kind),
      timeout: 60_000,
    }, async () => {
      const steps = [
        { name: "fill", run: "echo before; cat /dev/zero >../../filler 2>/dev/null || :; exit 3" },
        always("one", "seq 5000"),
        always("two", "cat /dev/zero >>../../filler 2>/dev/null || :; echo two"),
        always("three", "echo three"),
      ];
      const work = await harness.directory();
      const furnish = (home: string) => smallDisk(home, "size=1m");
      const fill = steps.map((step) => ({ ...step, run: step.run.replaceAll("../..", `$HOME`) }));
      const { endpoint, exit } = await harness.start({ kind, work, furnish, plan: { steps: fill } });
      assert.equal(await exit, 0);
      const numbers = Array.from({ length: 5000 }, (_, at) => `${at + 1}\n`).join("");
      assert.equal(endpoint.text().replace(numbers, "...\n"), "before\n...\ntwo\nthree\n");
      const reported = ["0:1:0", "0:2:3", "1:1:0", "1:2:0", "2:1:0", "2:2:0", "3:1:0", "3:2:0"];
      // The runner reports again when the answer did not fit on its disk.
      assert.deepEqual([...new Set(eventsOf(endpoint))], reported);
      assert.deepEqual([endpoint.finish?.exitCode, endpoint.finish?.failure], [3, ""]);
      assertProven(endpoint);
    });
  }

  test("a step is ended in time while the disk is full", { skip, timeout: 60_000 }, async () => {
    const fill = "while :; do cat /dev/zero >>$HOME/filler; done 2>/dev/null & echo up; sleep 300";
    const steps = [
      { name: "fill", run: fill, timeoutSeconds: 3 },
      always("clear", "rm -f $HOME/filler; echo cleared"),
    ];
    const work = await harness.directory();
    const furnish = (home: string) => smallDisk(home, "size=1m");
    const { endpoint, exit } = await harness.start({ work, furnish, plan: { steps } });
    assert.equal(await exit, 0);
    assert.match(endpoint.text(), /^up\n(.*\n)*solstice: step 'fill' was ended: .*\ncleared\n$/);
    assert.equal(endpoint.finish?.exitCode, 124);
  });

  test("the end reports a disk without room for the steps", { skip, timeout: 60_000 }, async () => {
    const steps = Array.from({ length: 80 }, (_, at) => ({ name: `step ${at}`, run: "true" }));
    const work = await harness.directory();
    const furnish = (home: string) => smallDisk(home, "size=2m,nr_inodes=90");
    const { endpoint, exit } = await harness.start({
      kind: guestKinds[0],
      work,
      furnish,
      plan: { steps },
    });
    await exit;
    assert.equal(endpoint.finish?.failure, "disk_full");
    assert.deepEqual(eventsOf(endpoint), []);
  });
});
