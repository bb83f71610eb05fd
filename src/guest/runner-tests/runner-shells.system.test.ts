/** The runner in every shell, with every client: no part of it may depend on one shell. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { guestKinds, missingFor, shellsAndClients } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

const output = Buffer.from('it\'s\t"h\u00e9llo" \\ $HOME\nerr\n\0\x01\n');
const steps = stepsOf(
  "printf '%s\\n' \"$GREETING\"; echo err >&2; printf '\\000\\001\\n'",
  '[ "$ROOM" = "" ] && exit 7',
  "echo never",
);
const plan = { env: { GREETING: 'it\'s\t"h\u00e9llo" \\ $HOME', ROOM: "" }, steps };

/** The whole matrix, and each other way to encode base64; tests of more than one job run in a sample of the guests. */
const matrix = [...shellsAndClients, ...guestKinds.filter(({ name }) => /openssl|awk|alone/.test(name))];

test("a job in every shell with every client, one call of each kind failing at first", {
  concurrency: 4,
}, async (t) => {
  await Promise.all(
    matrix.map((kind) =>
      t.test(kind.name, { skip: missingFor(kind), timeout: 60_000 }, async () => {
        const failed = new Set<string>();
        const { endpoint, exit } = await harness.start({
          kind,
          plan,
          prepare: (started) => {
            started.fault = ({ method }) => {
              if (failed.has(method)) return null;
              failed.add(method);
              return method === "AppendLog" ? "drop" : 503;
            };
          },
        });
        assert.equal(await exit, 0);
        assert.deepEqual(endpoint.bytes(), output);
        assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:7"]);
        assert.equal(endpoint.finish?.exitCode, 7);
        assertProven(endpoint);
      }),
    ),
  );
});

test("a running step is ended in every shell", { concurrency: 4 }, async (t) => {
  const withCurl = shellsAndClients.filter(({ name }) => name.endsWith("and curl"));
  await Promise.all(
    withCurl.map((kind) =>
      t.test(kind.name, { skip: missingFor(kind), timeout: 60_000 }, async () => {
        const script = "trap 'echo going; exit 3' TERM; echo started; while :; do sleep 0.1; done";
        const { endpoint, exit } = await harness.start({
          kind,
          plan: { steps: stepsOf(script, "echo never") },
        });
        await endpoint.until(() => endpoint.text().includes("started"), "the step's output");
        endpoint.stop = true;
        assert.equal(await exit, 0);
        assert.match(endpoint.text(), /^started\n(Terminated\n)?going\n$/);
        assert.notEqual(endpoint.finish?.exitCode, 0);
        assertProven(endpoint);
      }),
    ),
  );
});
