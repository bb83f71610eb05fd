/** The real runner with each of its clients behind a wire that fails, for as long as a job takes. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type FaultyWire, layWire, type WireFault } from "./testing/faulty-wire.ts";
import { type GuestKind, guestKinds, missingFor } from "./testing/guest-kinds.ts";
import {
  assertProven,
  eventsOf,
  RunnerHarness,
  type RunningRunner,
  stepsOf,
} from "./testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

const clients = guestKinds.filter(({ name }) =>
  /^(dash and curl|bash and GNU wget|busybox alone)$/.test(name),
);
const numbers = Array.from({ length: 60_000 }, (_, at) => `${at + 1}\n`).join("");

/** Runs `seq 60000`, and something short, with the wire as `prepare` wants it. */
async function runBehind(
  kind: GuestKind,
  prepare: (wire: FaultyWire, runner: () => RunningRunner) => void,
): Promise<FaultyWire> {
  let wire: FaultyWire | null = null;
  let runner: RunningRunner | null = null;
  try {
    runner = await harness.start({
      kind,
      plan: { steps: stepsOf("seq 60000", "echo end"), deadlineSeconds: 600 },
      connect: async (port) => {
        wire = await layWire(port);
        prepare(wire, () => {
          assert.ok(runner);
          return runner;
        });
        return wire.url;
      },
    });
    assert.equal(await runner.exit, 0);
    assert.equal(runner.endpoint.text(), `${numbers}end\n`);
    // One whose answer was lost is told again.
    assert.deepEqual([...new Set(eventsOf(runner.endpoint))], ["0:1:0", "0:2:0", "1:1:0", "1:2:0"]);
    assertProven(runner.endpoint);
    assert.ok(wire);
    return wire;
  } finally {
    await (wire as FaultyWire | null)?.close();
  }
}

// All at once: most of the time a runner waits.
describe("behind a wire that fails", { concurrency: true }, () => {
  for (const kind of clients) tryClient(kind);
});

function tryClient(kind: GuestKind): void {
  describe(kind.name, { skip: missingFor(kind), concurrency: true }, () => {
    test("connections are cut: before, in and after the request, and in the answer", async () => {
      const faults: WireFault[] = [
        "refuse",
        { cutRequestAfter: 50 },
        { cutRequestAfter: 3000 },
        { cutAnswerAfter: 0 },
        { cutAnswerAfter: 90 },
        { cutRequestAfter: 60_000 },
      ];
      const wire = await runBehind(kind, (laid) => {
        laid.fault = (at) =>
          at % 2 === 0 && at < 24 ? (faults[(at / 2) % faults.length] ?? "pass") : "pass";
      });
      assert.ok(wire.connections() > 12);
    });

    test("a slow line", async () => {
      await runBehind(kind, (wire) => {
        wire.fault = () => ({ bytesPerSecond: 60_000 });
      });
    });

    test("half-open: taken and never answered, frozen, then well again", async () => {
      await runBehind(kind, (wire) => {
        wire.fault = (at) => (at === 1 ? "stall" : at === 4 ? "freeze" : "pass");
      });
    });

    test("nobody there from the first step to after the last one", async () => {
      await runBehind(kind, (wire) => {
        let isBack = false;
        wire.fault = (at) => {
          // After some refusals in a row the steps, which take a moment, are long over.
          if (at >= 8) isBack = true;
          return at === 0 || isBack ? "pass" : "refuse";
        };
      });
    });
  });
}
