import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

/** Asserts the report of a runner that was killed by the step that prints `before`. */
async function assertReportedHonestly(started: Awaited<ReturnType<RunnerHarness["start"]>>): Promise<void> {
  const { endpoint } = started;
  await endpoint.until(() => endpoint.finish !== null, "Finish");
  assert.equal(endpoint.finish?.failure, "runner_killed");
  assert.equal(endpoint.finish?.exitCode, 137);
  assert.match(endpoint.text(), /^before\n(.*\n)*solstice: something in this guest killed the runner/);
  assert.doesNotMatch(endpoint.text(), /never/);
  assertProven(endpoint);
}

describe("a runner that its own job kills", { concurrency: 6 }, () => {
  for (const kind of guestsFor("a step that kills its parent")) {
    test(`a step kills its parent: ${kind.name}`, { skip: missingFor(kind) }, async () => {
      const steps = stepsOf("echo before; kill -9 $PPID; sleep 300", "echo never");
      await assertReportedHonestly(await harness.start({ kind, plan: { steps } }));
    });
  }

  test("a step ends every runner by name with TERM", async () => {
    const steps = stepsOf(
      `echo before; pkill -f "\${PWD%/work/checkout}/runner.sh"; sleep 300`,
      "echo never",
    );
    await assertReportedHonestly(await harness.start({ plan: { steps } }));
  });

  for (const kind of guestsFor("a step that kills every runner")) {
    test(`a step kills every runner by name; the supervisor reports that: ${kind.name}`, {
      skip: missingFor(kind),
    }, async () => {
      const steps = stepsOf(
        `echo before; pkill -9 -f "\${PWD%/work/checkout}/runner.sh"; sleep 300`,
        "echo never",
      );
      await assertReportedHonestly(
        await harness.start({ kind, command: ["boot.sh", "supervise"], plan: { steps } }),
      );
    });
  }

  test("a supervised runner that ends normally is reported once", async () => {
    const { endpoint, exit } = await harness.start({ command: ["boot.sh", "supervise"], plan: {} });
    assert.equal(await exit, 0);
    assert.equal(endpoint.calls.filter(({ method }) => method === "Finish").length, 1);
    assert.equal(endpoint.finish?.failure, "");
  });

  test("a step kills the sender only: everything is still reported, once", async () => {
    const script = `state=\${PWD%/work/checkout}/state; echo before
    until [ "$(cat "$state/reported")" = 1 ]; do sleep 0.05; done
    kill -9 "$(cat "$state/sender")"; echo after`;
    const { endpoint, exit } = await harness.start({ plan: { steps: stepsOf(script, "echo end") } });
    assert.equal(await exit, 0);
    assert.equal(endpoint.text(), "before\nafter\nend\n");
    assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:0"]);
    assert.equal(endpoint.finish?.failure, "");
    assertProven(endpoint);
  });
});
