/** The real runner with each of its clients behind a faulty connection, for a whole job. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isExhaustive } from "../../../test/support/sampling.ts";
import { type FaultyWire, layWire, type WireFault } from "../testing/faulty-wire.ts";
import { type GuestKind, guestKinds, guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

const clients = guestKinds.filter(({ name }) =>
  /^(dash and curl|bash and GNU wget|busybox alone)$/.test(name),
);
const numbers = Array.from({ length: 60_000 }, (_, at) => `${at + 1}\n`).join("");

/** Runs `seq 60000` and a short step, with the faults that `prepare` sets. */
async function runBehind(kind: GuestKind, prepare: (wire: FaultyWire) => void): Promise<FaultyWire> {
  let wire: FaultyWire | null = null;
  try {
    const runner = await harness.start({
      kind,
      limits,
      plan: { steps: stepsOf("seq 60000", "echo end"), deadlineSeconds: 600 },
      connect: async (port) => {
        wire = await layWire(port);
        prepare(wire);
        return wire.url;
      },
    });
    assert.equal(await runner.exit, 0);
    assert.equal(runner.endpoint.text(), `${numbers}end\n`);
    // An event whose answer was lost is sent again.
    assert.deepEqual([...new Set(eventsOf(runner.endpoint))], ["0:1:0", "0:2:0", "1:1:0", "1:2:0"]);
    assertProven(runner.endpoint);
    assert.ok(wire);
    return wire;
  } finally {
    await (wire as FaultyWire | null)?.close();
  }
}

/** Timeout of a runner's call, in seconds: its own 30 in an exhaustive run. */
const limits: Record<string, number> = isExhaustive ? {} : { call_seconds: 5 };
/** Number of consecutive refused connections; the runner's backoff grows before each. */
const refusals = isExhaustive ? 8 : 4;

const faults: WireFault[] = [
  "refuse",
  { cutRequestAfter: 50 },
  { cutRequestAfter: 3000 },
  { cutAnswerAfter: 0 },
  { cutAnswerAfter: 90 },
  { cutRequestAfter: 60_000 },
];

// In parallel: a runner waits most of the time.
describe("behind a faulty connection", { concurrency: true }, () => {
  for (const kind of guestsFor("connections that are cut", clients)) {
    test(`connections are cut: before, in and after the request, and in the answer: ${kind.name}`, {
      skip: missingFor(kind),
    }, async () => {
      const wire = await runBehind(kind, (laid) => {
        laid.fault = (at) =>
          at % 2 === 0 && at < 24 ? (faults[(at / 2) % faults.length] ?? "pass") : "pass";
      });
      assert.ok(wire.connections() > 12);
    });
  }

  for (const kind of guestsFor("a slow line", clients)) {
    test(`a slow line: ${kind.name}`, { skip: missingFor(kind) }, async () => {
      await runBehind(kind, (wire) => {
        wire.fault = () => ({ bytesPerSecond: 60_000 });
      });
    });
  }

  for (const kind of guestsFor("a half-open connection", clients)) {
    test(`half-open: accepted and never answered, frozen, then normal again: ${kind.name}`, {
      skip: missingFor(kind),
    }, async () => {
      await runBehind(kind, (wire) => {
        wire.fault = (at) => (at === 1 ? "stall" : at === 4 ? "freeze" : "pass");
      });
    });
  }

  for (const kind of guestsFor("no orchestrator", clients)) {
    test(`no orchestrator from the first step to after the last one: ${kind.name}`, {
      skip: missingFor(kind),
    }, async () => {
      await runBehind(kind, (wire) => {
        let isBack = false;
        wire.fault = (at) => {
          // After some refusals in a row the short steps ended long ago.
          if (at >= refusals) isBack = true;
          return at === 0 || isBack ? "pass" : "refuse";
        };
      });
    });
  }
});
