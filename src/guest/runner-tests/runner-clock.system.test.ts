/** Deadlines inside a guest: steps may set its date, and the time limits of a job must not change. */
import assert from "node:assert/strict";
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../host/command.ts";
import { type GuestKind, guestKinds, guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

/** `guest`, with a `date` that is off by the number of seconds in the first line of the file `offset`. */
function withMovableDate(guest: GuestKind, offset: string): GuestKind {
  const script = `#!/bin/sh\nread -r offset <${offset}\necho $(($(/bin/date +%s) + offset))\n`;
  return {
    ...guest,
    name: `${guest.name}, with a date that moves`,
    fillPath: async (directory) => {
      await guest.fillPath(directory);
      await rm(join(directory, "date"), { force: true });
      await writeProgram(join(directory, "date"), script);
    },
  };
}

async function writeProgram(path: string, script: string): Promise<void> {
  await writeFile(path, script);
  await chmod(path, 0o755);
}

describe("a step that sets the date", () => {
  for (const guest of guestsFor("a step that sets the date")) {
    test(`steps that always run still run, and are still ended in time: ${guest.name}`, {
      skip: missingFor(guest),
    }, async () => {
      const offset = join(await harness.directory(), "offset");
      await writeFile(offset, "0\n");
      const steps = [
        { name: "fails", run: "exit 3" },
        { name: "forward", always: true, run: `echo 157680000 >${offset}; echo one` },
        { name: "back", always: true, run: `echo -157680000 >${offset}; echo two` },
        { name: "too long", always: true, run: "echo three; sleep 300" },
      ];
      const kind = withMovableDate(guest, offset);
      const { endpoint, exit } = await harness.start({ kind, plan: { steps, cleanupSeconds: 8 } });
      assert.equal(await exit, 0);
      assert.match(endpoint.text(), /^one\ntwo\nthree\n(Terminated\n)?solstice: step 'too long' was ended: /);
      assert.equal(eventsOf(endpoint).at(-1), "3:2:124");
      assert.equal(endpoint.finish?.exitCode, 3);
      assertProven(endpoint);
    });
  }
});

const tools = fileURLToPath(new URL("../runner/tools.sh", import.meta.url));

/** Prints the result of `now` in a shell whose system has the given programs besides those of this host. */
async function clockOf(
  guest: GuestKind,
  uptime: string,
  programs: Record<string, string>,
): Promise<string[]> {
  const directory = await harness.directory();
  for (const [name, line] of Object.entries(programs)) {
    await writeProgram(join(directory, name), `#!/bin/sh\necho '${line}'\n`);
  }
  const script = `PATH=${directory}:$PATH; . ${tools}; uptime_file=${uptime}; find_clock; echo $clock; now`;
  const [program = "", ...options] = guest.shell;
  const { stdout } = await runCommand(program, [...options, "-c", script]);
  return stdout.trim().split("\n");
}

describe("the clock of each system", () => {
  const shells = guestKinds.filter(({ name }) => /^(dash and curl|bash|busybox|ksh93)/.test(name));
  const kstat = "unix:0:system_misc:snaptime\t5271.993412";
  const boottime = "{ sec = 1271934886, usec = 667779 } Thu Apr 22 11:14:46 2010";
  for (const guest of shells) {
    test(guest.name, { skip: missingFor(guest) }, async () => {
      const [name, seconds] = await clockOf(guest, "/proc/uptime", { kstat, sysctl: boottime });
      assert.equal(name, "uptime");
      assert.match(seconds ?? "", /^\d+$/);
      assert.deepEqual(await clockOf(guest, "/nowhere", { kstat, sysctl: boottime }), ["kstat", "5271"]);
      const bsd = { kstat: "", sysctl: boottime, date: "1271934986" };
      assert.deepEqual(await clockOf(guest, "/nowhere", bsd), ["boot", "100"]);
      const none = { kstat: "", sysctl: "", date: "1271934986" };
      assert.deepEqual(await clockOf(guest, "/nowhere", none), ["date", "1271934986"]);
    });
  }
});
