/** Which parts of a job run after a failure, a time limit or a stop; and that no process of a step outlives its end. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { PlanStep } from "../seed/plan.ts";
import { guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness, untilDead } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

const step = (run: string, given: Partial<PlanStep> = {}): PlanStep => ({
  name: run.slice(0, 8),
  run,
  ...given,
});
const always = (run: string, given: Partial<PlanStep> = {}) => step(run, { always: true, ...given });

/** Waits until a process group is empty; the test's own timeout limits the wait. */
async function untilGroupGone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(-pid, 0);
    } catch {
      return;
    }
    await delay(20);
  }
}

describe("which steps of a job run", { concurrency: 6 }, () => {
  for (const kind of guestsFor("always after a failure")) {
    const skip = missingFor(kind);

    test(`after a failure only the always-run steps run, and the first failure decides: ${kind.name}`, {
      skip,
    }, async () => {
      const steps = [
        step("echo one"),
        always("echo two"),
        step("echo three; exit 7"),
        step("echo never"),
        always("echo four; exit 9"),
        always("echo five"),
      ];
      const { endpoint, exit } = await harness.start({ kind, plan: { steps } });
      assert.equal(await exit, 0);
      assert.equal(endpoint.text(), "one\ntwo\nthree\nfour\nfive\n");
      const reported = [
        "0:1:0",
        "0:2:0",
        "1:1:0",
        "1:2:0",
        "2:1:0",
        "2:2:7",
        "4:1:0",
        "4:2:9",
        "5:1:0",
        "5:2:0",
      ];
      assert.deepEqual(eventsOf(endpoint), reported);
      assert.deepEqual([endpoint.finish?.exitCode, endpoint.finish?.failure], [7, ""]);
      assertProven(endpoint);
    });
  }

  for (const kind of guestsFor("a step that outlasts its limit")) {
    const skip = missingFor(kind);

    test(`a step that exceeds its limit is killed, although it ignores TERM and stops itself: ${kind.name}`, {
      skip,
    }, async () => {
      const stubborn =
        "trap '' TERM; (trap '' TERM; echo child $(sh -c 'echo $PPID'); while :; do sleep 0.1; done) & sleep 0.3; kill -STOP $$; echo on; while :; do sleep 0.1; done";
      const steps = [step(stubborn, { timeoutSeconds: 1 }), step("echo never"), always("echo last")];
      const { endpoint, exit } = await harness.start({ kind, plan: { steps } });
      assert.equal(await exit, 0);
      assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:124", "2:1:0", "2:2:0"]);
      assert.deepEqual([endpoint.finish?.exitCode, endpoint.finish?.failure], [124, "step_timeout"]);
      assert.match(
        endpoint.text(),
        /^solstice: step 'trap '' ' was ended: it ran longer than its limit of 1 s$/m,
      );
      assert.match(endpoint.text(), /last\n$/);
      const child = Number(/child (\d+)/.exec(endpoint.text())?.[1]);
      await untilDead(child);
      assertProven(endpoint);
    });
  }

  for (const kind of guestsFor("always after a stop")) {
    const skip = missingFor(kind);

    test(`stop: the step ends, its last output arrives, and the always-run steps run: ${kind.name}`, {
      skip,
    }, async () => {
      const steps = [
        step("trap 'echo going; exit 0' TERM; echo started; while :; do sleep 0.1; done"),
        step("echo never"),
        always("echo cleaning; exit 3"),
        always("echo cleaned"),
      ];
      const { endpoint, exit } = await harness.start({ kind, plan: { steps } });
      await endpoint.until(() => endpoint.text().includes("started"), "the step's first output");
      endpoint.stop = true;
      assert.equal(await exit, 0);
      assert.match(endpoint.text(), /^started\n(Terminated\n)?going\ncleaning\ncleaned\n$/);
      assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "2:1:0", "2:2:3", "3:1:0", "3:2:0"]);
      assert.deepEqual([endpoint.finish?.exitCode, endpoint.finish?.failure], [143, ""]);
      assertProven(endpoint);
    });
  }

  test("a step that ends within its limit behaves like one without, and its watchdog has ended", async () => {
    const steps = [
      step("echo in time", { timeoutSeconds: 3000 }),
      step("echo next; exit 4", { timeoutSeconds: 3000 }),
    ];
    const { endpoint, exit, pid } = await harness.start({ plan: { steps } });
    assert.equal(await exit, 0);
    assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:4"]);
    assert.deepEqual([endpoint.finish?.exitCode, endpoint.finish?.failure], [4, ""]);
    // The runner's own process group is empty: no sleep of 3000 seconds is left.
    await untilGroupGone(pid);
  });

  test("a step that exits 0 on the TERM of its limit still counts as timed out", async () => {
    const steps = [
      step("trap 'echo got TERM; exit 0' TERM; while :; do sleep 0.1; done", { timeoutSeconds: 1 }),
    ];
    const { endpoint, exit } = await harness.start({ plan: { steps } });
    assert.equal(await exit, 0);
    assert.match(endpoint.text(), /got TERM\n.*longer than its limit of 1 s\n$/s);
    assert.deepEqual([endpoint.finish?.exitCode, endpoint.finish?.failure], [124, "step_timeout"]);
  });

  test("the limit applies while the orchestrator does not answer", async () => {
    const script = "trap 'touch ended; exit 1' TERM; echo begun; while :; do sleep 0.1; done";
    const steps = [step(script, { timeoutSeconds: 3 }), always("echo after")];
    const { endpoint, exit, work } = await harness.start({ plan: { steps } });
    await endpoint.until(() => endpoint.text().includes("begun"), "the step's first output");
    const stalled: string[] = [];
    endpoint.fault = ({ method }) => {
      stalled.push(method);
      return "stall";
    };
    await endpoint.until(() => stalled.length > 0, "a call that is never answered");
    while (!existsSync(`${work}/checkout/ended`)) await delay(20);
    assert.equal(stalled.length, 1);
    endpoint.fault = () => null;
    await endpoint.close();
    await endpoint.listen();
    assert.equal(await exit, 0);
    assert.match(endpoint.text(), /after\n$/);
  });

  test("steps that always run have their own time for cleaning up, and later ones do not run", async () => {
    const steps = [step("exit 5"), always("echo long; sleep 1000"), always("echo too late")];
    const { endpoint, exit } = await harness.start({ plan: { steps, cleanupSeconds: 2 } });
    assert.equal(await exit, 0);
    assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:5", "1:1:0", "1:2:124"]);
    assert.deepEqual([endpoint.finish?.exitCode, endpoint.finish?.failure], [5, ""]);
    assert.match(endpoint.text(), /was ended: the 2 s for cleaning up were over\n$/);
  });

  test("stop during a step with `always`: the step continues, but no longer than the time for cleaning up", async () => {
    const going = [always("echo begun; sleep 1; echo done")];
    const kept = await harness.start({ plan: { steps: going } });
    await kept.endpoint.until(() => kept.endpoint.text().includes("begun"), "the first output");
    kept.endpoint.stop = true;
    assert.equal(await kept.exit, 0);
    assert.equal(kept.endpoint.text(), "begun\ndone\n");

    const hanging = [always("echo begun; sleep 1000"), always("echo never")];
    const ended = await harness.start({ plan: { steps: hanging, cleanupSeconds: 2 } });
    await ended.endpoint.until(() => ended.endpoint.text().includes("begun"), "the first output");
    ended.endpoint.stop = true;
    assert.equal(await ended.exit, 0);
    assert.match(
      ended.endpoint.text(),
      /^begun\n(Terminated\n)?solstice: step '.*' was ended: the 2 s for cleaning up were over\n$/,
    );
  });

  test("stop at once: steps that always run end too", async () => {
    const steps = [step("sleep 1000"), always("echo begun; sleep 1000"), always("echo never")];
    const { endpoint, exit } = await harness.start({ plan: { steps } });
    await endpoint.until(() => endpoint.events.length > 0, "the first step");
    endpoint.stop = true;
    await endpoint.until(() => endpoint.text().includes("begun"), "the clean-up");
    endpoint.stopNow = true;
    assert.equal(await exit, 0);
    assert.match(endpoint.text(), /^(Terminated\n)?begun\n(Terminated\n)?$/);
    assertProven(endpoint);
  });

  test("without a repository, the always-run steps run in the empty directory", async () => {
    const plan = {
      repoUrl: "file:///nonexistent.git",
      commitSha: "a".repeat(40),
      steps: [step("echo never"), always("echo $SOLSTICE_STEP")],
    };
    const { endpoint, exit } = await harness.start({ plan });
    assert.equal(await exit, 0);
    assert.deepEqual(endpoint.finish?.failure, "checkout");
    assert.match(endpoint.text(), /\necho \$SO\n$/);
    assert.deepEqual(eventsOf(endpoint).slice(-2), ["2:1:0", "2:2:0"]);
  });
});
