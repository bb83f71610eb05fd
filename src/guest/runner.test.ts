import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { RunnerEndpoint } from "./testing/runner-endpoint.ts";
import { guestKinds, missingFor, RunnerHarness, sha256 } from "./testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

/** What a `Finish` proves: the whole output arrived, and is what the guest says. */
function assertProven(endpoint: RunnerEndpoint): void {
  const output = endpoint.bytes();
  assert.equal(endpoint.finish?.logLength, output.length);
  assert.equal(endpoint.finish?.logSha256, sha256(output));
}

const phases = (endpoint: RunnerEndpoint) => endpoint.events.map(({ index, phase }) => `${index}:${phase}`);

for (const kind of guestKinds) {
  test(`runs a job to its end: ${kind.name}`, { skip: missingFor(kind) }, async () => {
    const run = await harness.start({
      kind,
      plan: {
        env: { GREETING: 'it\'s\n"héllo" $HOME `id` \\', CI: "yes" },
        steps: [
          {
            name: "print",
            run: 'printf %s "$GREETING"; echo " $CI $SOLSTICE_STEP $SOLSTICE_JOB_ID"; echo err >/dev/stderr',
          },
          { name: "bytes", run: "printf '\\000\\001\\377\\n\\000'; exit 7" },
          { name: "never", run: "echo never" },
        ],
      },
    });
    assert.equal(await run.exit, 0);
    const { endpoint } = run;
    const text = 'it\'s\n"héllo" $HOME `id` \\ yes print job1\nerr\n';
    const expected = Buffer.concat([Buffer.from(text), Buffer.from([0, 1, 255, 10, 0])]);
    assert.deepEqual(endpoint.bytes(), expected);
    assert.deepEqual(phases(endpoint), ["0:1", "0:2", "1:1", "1:2"]);
    assert.deepEqual(
      endpoint.events.map((event) => event.exitCode),
      [0, 0, 0, 7],
    );
    assert.equal(endpoint.events[1]?.logOffset, Buffer.byteLength(text));
    assert.equal(endpoint.finish?.exitCode, 7);
    assert.equal(endpoint.finish?.failure, "");
    assertProven(endpoint);
  });
}
