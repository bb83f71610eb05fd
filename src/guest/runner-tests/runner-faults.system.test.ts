import assert from "node:assert/strict";
import { existsSync, truncateSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runCommand } from "../../host/command.ts";
import { guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness, stepsOf, untilDead } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

const counting = "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); sleep 0.1; done";
const counted = Array.from({ length: 30 }, (_, at) => `line ${at}\n`).join("");

describe("a runner with faults", { concurrency: 6 }, () => {
  for (const kind of guestsFor("an endpoint that goes away")) {
    test(`the endpoint stops and comes back: ${kind.name}`, { skip: missingFor(kind) }, async () => {
      const { endpoint, exit } = await harness.start({
        kind,
        plan: { steps: stepsOf(counting, "echo end") },
      });
      await endpoint.until(() => endpoint.text().includes("line 3"), "some output");
      await endpoint.close();
      await delay(1500);
      await endpoint.listen();
      assert.equal(await exit, 0);
      assert.equal(endpoint.text(), `${counted}end\n`);
      assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:0"]);
      assertProven(endpoint);
    });
  }

  for (const kind of guestsFor("calls that fail")) {
    test(`failed calls are retried: ${kind.name}`, { skip: missingFor(kind) }, async () => {
      const { endpoint, exit } = await harness.start({
        kind,
        plan: { steps: stepsOf("seq 100000") },
        prepare: (started) => {
          // Every second call fails: without an answer, with an answer lost by a closed connection, or refused.
          started.fault = () => {
            const at = started.calls.length;
            return at % 2 === 0
              ? null
              : (([503, "drop", "drop-after", 500] as const)[((at - 1) / 2) % 4] ?? null);
          };
        },
      });
      assert.equal(await exit, 0);
      assert.equal(endpoint.text(), Array.from({ length: 100_000 }, (_, at) => `${at + 1}\n`).join(""));
      assertProven(endpoint);
    });
  }

  test("lost output is sent to the server again", async () => {
    const { endpoint, exit, work } = await harness.start({
      plan: { steps: stepsOf("seq 1000; until [ -e go ]; do sleep 0.1; done; seq 5") },
      prepare: (started) => {
        let lost = false;
        started.fault = ({ method }) => {
          if (method === "Finish" && !lost) started.forgetFrom(77);
          lost ||= method === "Finish";
          return null;
        };
      },
    });
    await endpoint.until(() => endpoint.text().endsWith("1000\n"), "the first output");
    endpoint.forgetFrom(10);
    await writeFile(`${work}/checkout/go`, "");
    assert.equal(await exit, 0);
    const sequence = (length: number) => Array.from({ length }, (_, at) => `${at + 1}\n`).join("");
    assert.equal(endpoint.text(), sequence(1000) + sequence(5));
    assertProven(endpoint);
  });

  test("output that cannot be read is reported as lost, and the job ends nevertheless", async () => {
    const { endpoint, exit, work } = await harness.start({
      plan: { steps: stepsOf("seq 1000; exit 3") },
      prepare: (started) => {
        started.fault = ({ method, body }) => {
          if (method === "Finish" && body.logLost === false) {
            started.forgetFrom(10);
            truncateSync(`${work}/output`, 5);
          }
          return null;
        };
      },
    });
    assert.equal(await exit, 0);
    assert.equal(endpoint.finish?.exitCode, 3);
    assert.deepEqual([endpoint.received, endpoint.finish?.logLength], [10, 3893]);
  });

  test("a refused guest ends", async () => {
    const { endpoint, exit } = await harness.start({
      plan: {},
      prepare: (started) => {
        started.sessionToken = "another guest was first, with this token";
      },
    });
    assert.equal(await exit, 1);
    assert.equal(endpoint.calls.length, 1);
  });

  test("an attempt that the orchestrator refuses is ended, with its step", async () => {
    const { endpoint, exit, work } = await harness.start({
      plan: { steps: stepsOf("trap 'touch ended; exit 0' TERM; echo up; sleep 300 & wait", "touch second") },
    });
    await endpoint.until(() => endpoint.text() === "up\n", "the step");
    endpoint.sessionToken = "another token than the one of this runner";
    assert.equal(await exit, 1);
    assert.equal(endpoint.finish, null);
    assert.ok(existsSync(`${work}/checkout/ended`));
    assert.ok(!existsSync(`${work}/checkout/second`));
  });

  test("without an orchestrator until the deadline, the job is ended", async () => {
    const { endpoint, exit } = await harness.start({
      plan: { deadlineSeconds: 4, steps: stepsOf("echo up; sleep 300") },
    });
    await endpoint.until(() => endpoint.text() === "up\n", "the step");
    await endpoint.close();
    assert.equal(await exit, 1);
  });

  test("heartbeats are sent while there is no output", async () => {
    const { endpoint, exit } = await harness.start({
      heartbeatSeconds: 1,
      plan: { steps: stepsOf("sleep 4") },
    });
    await exit;
    const empty = endpoint.calls.filter((call) => call.method === "AppendLog" && !call.body.data);
    assert.ok(empty.length >= 4, `${empty.length} in 4 seconds`);
  });

  test("stop: the step receives TERM, and its last output arrives", async () => {
    const script = "trap 'echo last words; exit 9' TERM; echo up; while :; do sleep 0.1; done";
    const { endpoint, exit } = await harness.start({ plan: { steps: stepsOf(script, "echo never") } });
    await endpoint.until(() => endpoint.text() === "up\n", "the step");
    endpoint.stop = true;
    assert.equal(await exit, 0);
    // Before the last line, the step's shell may report the end of its `sleep`.
    assert.match(endpoint.text(), /^up\n(Terminated\n)?last words\n$/);
    assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:9"]);
    assert.equal(endpoint.finish?.exitCode, 9);
    assertProven(endpoint);
  });

  test("stop: a step that ignores TERM is killed, with its children", async () => {
    const script = "trap '' TERM; sleep 300 & echo up $!; while :; do sleep 0.1; done";
    const { endpoint, exit } = await harness.start({ plan: { steps: stepsOf(script, "echo never") } });
    await endpoint.until(() => endpoint.text().endsWith("\n"), "the step");
    endpoint.stop = true;
    assert.equal(await exit, 0);
    assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:137"]);
    const child = /^up (\d+)\n$/.exec(endpoint.text())?.[1];
    assert.ok(child, endpoint.text());
    await untilDead(Number(child));
  });

  test("stop before the first step: no step runs", async () => {
    const { endpoint, exit } = await harness.start({
      plan: { steps: stepsOf("sleep 1; echo first", "echo never") },
      prepare: (started) => {
        started.stop = true;
      },
    });
    assert.equal(await exit, 0);
    assert.equal(endpoint.finish?.exitCode, 143);
    assert.doesNotMatch(endpoint.text(), /never/);
  });

  test("the log of a failing step reports once that the kernel killed a process because memory ran out", async () => {
    const vmstat = `${await harness.directory()}/vmstat`;
    await writeFile(vmstat, "pgfault 1\noom_kill 2\n");
    const oom = `echo before; echo 'oom_kill 3' >${vmstat}`;
    const failing = await harness.start({ vmstat, plan: { steps: stepsOf(`${oom}; exit 137`) } });
    await failing.exit;
    assert.match(
      failing.endpoint.text(),
      /^before\nsolstice: this guest ran out of memory, .* step 'step 0' may need a larger size\n$/,
    );
    assertProven(failing.endpoint);
    const unaffected = await harness.start({ vmstat, plan: { steps: stepsOf("echo before; exit 1") } });
    await unaffected.exit;
    assert.equal(unaffected.endpoint.text(), "before\n");
  });

  test("a full disk: the step continues, and the log reports the missing output", async (context) => {
    const work = await harness.directory();
    const mounted = await runCommand("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", work], {
      acceptExitCodes: [0, 1, 32],
    });
    if (mounted.exitCode !== 0) return context.skip("mounting a small file system needs root");
    try {
      const fill = "echo before; seq 200000; cat /dev/zero >filler 2>/dev/null || :; echo swallowed";
      const { endpoint, exit } = await harness.start({
        work,
        plan: { steps: stepsOf(fill, "rm -f filler; exit 5") },
      });
      assert.equal(await exit, 0);
      assert.match(endpoint.text(), /^before\n1\n2\n/);
      assert.match(
        endpoint.text(),
        /solstice: the guest's disk is full: output of step 'step 0' is missing from here on\n/,
      );
      assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:5"]);
      // The end reports the missing bytes, so that the log does not pass as complete.
      assert.equal(endpoint.finish?.logLost, true);
      assert.ok((endpoint.finish?.logLength ?? 0) >= endpoint.received + "swallowed\n".length);
    } finally {
      await runCommand("umount", ["-l", work]);
    }
  });
});
