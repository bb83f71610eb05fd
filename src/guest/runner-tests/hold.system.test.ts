import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { guestKinds, guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { openPseudoTerminal, type PseudoTerminal } from "../testing/pseudo-terminal.ts";
import { RunnerHarness, type StartOptions } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

const failing = {
  env: { GREETING: 'it\'s\n"me"' },
  steps: [{ name: "fail", run: "echo left >file; sleep 1000 & echo $! >pid; exit 3" }],
};

async function startOnHold(context: TestContext, options: Partial<StartOptions> = {}) {
  const line = await openPseudoTerminal();
  context.after(() => line.close());
  const running = await harness.start({
    plan: failing,
    holdSeconds: 600,
    shellDevice: line.device,
    ...options,
  });
  await running.endpoint.until(() => held(running) > 0, "the first call of Hold");
  return { ...running, line };
}

const held = ({ endpoint }: Pick<Awaited<ReturnType<RunnerHarness["start"]>>, "endpoint">) =>
  endpoint.calls.filter(({ method }) => method === "Hold").length;

/** Types a command and waits for its output, which differs from the typed text. */
async function run(line: PseudoTerminal, command: string, expected: string): Promise<void> {
  const from = line.shown().length;
  line.type(`${command}\n`);
  await line.until(expected, from);
}

describe("a guest on hold", { concurrency: 6 }, () => {
  const kinds = guestKinds.filter(({ name }) => !/openssl|awk/.test(name));
  for (const kind of guestsFor("a hold", kinds)) {
    test(`the guest of a failed job is kept, entered, and released: ${kind.name}`, {
      skip: missingFor(kind),
    }, async (context) => {
      const { endpoint, exit, line } = await startOnHold(context, { kind });
      assert.equal(endpoint.finish?.exitCode, 3);
      endpoint.changeOrder("7 xterm 33 101 terminal");
      await line.until("attempt 1");
      await run(line, "cat file; echo end-$((40+2))", "left\r\nend-42");
      await run(
        line,
        'printf "<%s>" "$GREETING" "$TERM" "$SOLSTICE_JOB_ID" "$CI"',
        '<it\'s\r\n"me"><xterm><job1><true>',
      );
      await run(line, "stty size", "33 101");
      await run(line, "kill -0 $(cat pid) && echo leftover of a step ru''ns", "leftover of a step runs");
      // Ctrl-C reaches the foreground process, so the shell controls the terminal.
      const from = line.shown().length;
      line.type("sh -c \"echo as''leep; exec sleep 1000\"\n");
      const asleep = await line.until("asleep", from);
      line.type("\u0003");
      await line.until("# ", asleep);
      await run(line, "echo interr''upted", "interrupted");

      endpoint.changeOrder("7 xterm 50 120 terminal");
      await endpoint.until(
        () => endpoint.calls.at(-1)?.body.shell === endpoint.order,
        "the new size to be seen",
      );
      await run(line, "stty size", "50 120");

      await run(line, "exit 5", "\u001b_solstice-shell 7 ended 5\u001b\\");
      endpoint.release();
      assert.equal(await exit, 0);
    });
  }

  test("commands arrive through a pipe without echo or prompt, and the shell ends with the input", async (context) => {
    const { endpoint, line, exit } = await startOnHold(context);
    endpoint.changeOrder("1 dumb 24 80 plain");
    const begun = await line.until("1 begun\u001b\\");
    line.type("cat file\nprintf 'a\\nb\\r\\003'\nexit 9\n");
    await line.until("ended");
    assert.equal(
      line.shown().subarray(begun).toString(),
      "left\na\nb\r\u0003\u001b_solstice-shell 1 ended 9\u001b\\",
    );
    endpoint.changeOrder("2 dumb 24 80 plain");
    const from = await line.until("2 begun");
    line.type("(exit 4)\n\u0004");
    await line.until("solstice-shell 2 ended 4", from);
    endpoint.release();
    await exit;
  });

  test("another shell replaces the running one, and an empty order ends it; no shell runs what was typed before", async (context) => {
    const { endpoint, line, exit } = await startOnHold(context);
    line.type("echo ear''lier\n");
    endpoint.changeOrder("1 dumb 24 80 terminal");
    await line.until("attempt 1");
    await run(line, "echo fir''st", "first");
    assert.doesNotMatch(line.shown().toString(), /earlier/);
    line.type("sleep 1000\n");
    endpoint.changeOrder("2 dumb 24 80 terminal");
    const ended = await line.until("solstice-shell 1 ended");
    await line.until("attempt 1", ended);
    await run(line, "echo sec''ond", "second");
    endpoint.changeOrder("");
    await line.until("solstice-shell 2 ended");
    endpoint.release();
    await exit;
  });

  test("the runner ends after success, or when Finish has no hold", async () => {
    const { exit, endpoint } = await harness.start({ plan: { steps: [{ name: "fail", run: "exit 3" }] } });
    assert.equal(await exit, 0);
    assert.equal(held({ endpoint }), 0);
  });

  test("the guest of a stopped job is kept too, and ends at the second stop", async (context) => {
    const line = await openPseudoTerminal();
    context.after(() => line.close());
    const running = await harness.start({
      plan: { steps: [{ name: "long", run: "echo going; sleep 1000" }] },
      holdSeconds: 600,
      shellDevice: line.device,
    });
    const { endpoint } = running;
    await endpoint.until(() => endpoint.text().includes("going"), "the step to run");
    endpoint.stop = true;
    await endpoint.until(() => endpoint.finish !== null, "the call of Finish");
    endpoint.stop = false;
    await endpoint.until(() => held(running) > 0, "the call of Hold");
    endpoint.release();
    assert.equal(await running.exit, 0);
  });

  test("the guest stays while the orchestrator does not answer, and ends at its own deadline or when its attempt is refused", async (context) => {
    const { endpoint, exit, line } = await startOnHold(context);
    await endpoint.close();
    await endpoint.listen();
    endpoint.changeOrder("1 dumb 24 80 terminal");
    await line.until("attempt 1");
    await run(line, "echo ba''ck", "back");
    endpoint.fault = () => 401;
    endpoint.changeOrder("");
    assert.equal(await exit, 0);
  });
});
