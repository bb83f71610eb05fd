import assert from "node:assert/strict";
import { access, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isExhaustive } from "../../../test/support/sampling.ts";
import { guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, eventsOf, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

/** Waits until a file exists; the test's own timeout limits the wait. */
async function existence(path: string): Promise<void> {
  while (
    !(await access(path).then(
      () => true,
      () => false,
    ))
  )
    await delay(20);
}

/** Each step needs two calls, and each call a process. */
const manySteps = isExhaustive ? 200 : 30;
const manyMegabytes = isExhaustive ? 100 : 30;

describe("a job in a guest", { concurrency: 4 }, () => {
  for (const kind of guestsFor("a job to its end")) {
    test(`runs a job to its end: ${kind.name}`, { skip: missingFor(kind) }, async () => {
      const greeting = 'it\'s\n"héllo" $HOME `id` \\';
      const print =
        'printf %s "$GREETING"; echo " $CI $SOLSTICE_STEP $SOLSTICE_JOB_ID"; echo err >/dev/stderr';
      const { endpoint, exit } = await harness.start({
        kind,
        plan: {
          env: { GREETING: greeting, CI: "yes" },
          steps: [
            { name: "print", run: print },
            { name: "bytes", run: "printf '\\000\\001\\377\\n\\000'; exit 7" },
            { name: "never", run: "echo never" },
          ],
        },
      });
      assert.equal(await exit, 0);
      const text = `${greeting} yes print job1\nerr\n`;
      assert.deepEqual(endpoint.bytes(), Buffer.concat([Buffer.from(text), Buffer.from([0, 1, 255, 10, 0])]));
      assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:7"]);
      assert.equal(endpoint.events[1]?.logOffset, Buffer.byteLength(text));
      assert.equal(endpoint.finish?.exitCode, 7);
      assert.equal(endpoint.finish?.failure, "");
      assertProven(endpoint);
    });
  }

  for (const kind of guestsFor("many steps")) {
    test(`${manySteps} steps, each reported in order: ${kind.name}`, { skip: missingFor(kind) }, async () => {
      const plan = { steps: stepsOf(...Array.from({ length: manySteps }, (_, at) => `echo ${at}`)) };
      const { endpoint, exit } = await harness.start({ kind, plan });
      assert.equal(await exit, 0);
      const expected = Array.from({ length: manySteps }, (_, at) => [`${at}:1:0`, `${at}:2:0`]).flat();
      assert.deepEqual(eventsOf(endpoint), expected);
      assert.equal(endpoint.text(), Array.from({ length: manySteps }, (_, at) => `${at}\n`).join(""));
      assertProven(endpoint);
    });
  }

  test("a script runs with the interpreter of its first line, with one argument", async () => {
    const perl = '#!/usr/bin/perl -w\nprint "perl says \\$^W = $^W\\n";';
    const bash = `#!/usr/bin/env bash\ndeclare -a list=(a b); echo "\${#list[@]}"`;
    const { endpoint, exit } = await harness.start({ plan: { steps: stepsOf(perl, bash) } });
    await exit;
    assert.equal(endpoint.text(), "perl says $^W = 1\n2\n");
  });

  test("a script ends at its first failing command", async () => {
    const { endpoint, exit } = await harness.start({ plan: { steps: stepsOf("echo a; false; echo b") } });
    await exit;
    assert.equal(endpoint.text(), "a\n");
    assert.equal(endpoint.finish?.exitCode, 1);
  });

  test("steps have no token, no input, no ignored signals, and run in their own checkout directory", async () => {
    const script = `env | grep -i -e token -e runner_url -e _plan || :; cat; pwd; umask
    perl -e 'print "INT ", $SIG{INT} // "default", "\\n"; exec "sh", "-c", "kill -INT \\$\\$; echo survived"'; true`;
    const { endpoint, exit, work } = await harness.start({ plan: { steps: stepsOf(script) } });
    await exit;
    assert.equal(endpoint.text(), `${work}/checkout\n0022\nINT default\n`);
  });

  test("no token is in the arguments of curl", async () => {
    const script = `until ps ax -ww -o args | grep "[c]url -q --config \${PWD%/work/checkout}"; do sleep 0.05; done; touch seen`;
    const { endpoint, exit, work } = await harness.start({
      plan: { steps: stepsOf(script) },
      prepare: (started) => {
        // The call stays unanswered until the step has found curl in the list of processes.
        started.fault = ({ method }) =>
          method === "ReportStep" && started.calls.length === 2 ? "stall" : null;
      },
    });
    await endpoint.until(() => endpoint.calls.length >= 2, "the stalled call");
    await existence(`${work}/checkout/seen`);
    await endpoint.close();
    await endpoint.listen();
    await exit;
    assert.match(endpoint.text(), /curl -q --config/);
    assert.ok(!endpoint.text().includes(endpoint.sessionToken));
    assert.doesNotMatch(endpoint.text(), /Bearer/);
  });

  test("output arrives while the step runs", async () => {
    const { endpoint, exit, work } = await harness.start({
      plan: { steps: stepsOf("printf first; until [ -e go ]; do sleep 0.05; done; printf ' second'") },
    });
    await endpoint.until(() => endpoint.text() === "first", "the first output");
    await writeFile(`${work}/checkout/go`, "");
    await exit;
    assert.equal(endpoint.text(), "first second");
  });

  test("a step is reported before its output arrives, and after all output of the previous step", async () => {
    const { endpoint, exit } = await harness.start({
      plan: { steps: stepsOf(...Array.from({ length: 20 }, (_, at) => `echo ${at}`)) },
    });
    const places: [reported: number, arrived: number][] = [];
    endpoint.fault = ({ method, body }) => {
      if (method === "ReportStep") places.push([Number(body.logOffset), Buffer.byteLength(endpoint.text())]);
      return null;
    };
    await exit;
    assert.ok(places.length > 20, "most of the reports arrived");
    for (const [reported, arrived] of places) assert.equal(arrived, reported);
  });

  test(`${manyMegabytes} MB of output, and lines of 10 MB`, { timeout: 120_000 }, async () => {
    const script = `head -c 10000000 /dev/zero | tr '\\0' x; yes 0123456789abcde | head -c ${manyMegabytes - 10}000000`;
    const { endpoint, exit } = await harness.start({ plan: { steps: stepsOf(script) } });
    assert.equal(await exit, 0);
    assert.equal(endpoint.received, manyMegabytes * 1_000_000);
    assertProven(endpoint);
  });

  test("a leftover process does not delay the end or invalidate the log's checksum", async () => {
    const script = "(while :; do echo noise; done) & setsid sleep 300 & echo started $!; sleep 0.2";
    const { endpoint, exit } = await harness.start({ plan: { steps: stepsOf(script, "echo next") } });
    const before = performance.now();
    assert.equal(await exit, 0);
    assert.ok(performance.now() - before < 20_000);
    assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:0"]);
    assert.match(endpoint.text(), /^next$/m);
    assertProven(endpoint);
    const escaped = /^started (\d+)$/m.exec(endpoint.text())?.[1];
    process.kill(Number(escaped), "SIGKILL");
  });

  test("a plan of 500 steps and 1 MiB is read quickly", { timeout: 120_000 }, async () => {
    const filler = `: '${'é"\\x'.repeat(400)}'\n`;
    const runs = Array.from({ length: 500 }, (_, at) => `${filler}exit ${at === 1 ? 3 : 0}`);
    const env = Object.fromEntries(
      Array.from({ length: 500 }, (_, at) => [`NAME_${at}`, "value ' \n".repeat(50)]),
    );
    for (const kind of guestsFor("a long plan").filter((each) => missingFor(each) === false)) {
      const { endpoint, exit } = await harness.start({ kind, plan: { env, steps: stepsOf(...runs) } });
      await exit;
      assert.equal(endpoint.finish?.exitCode, 3, kind.name);
      assert.deepEqual(eventsOf(endpoint), ["0:1:0", "0:2:0", "1:1:0", "1:2:3"], kind.name);
    }
  });
});
