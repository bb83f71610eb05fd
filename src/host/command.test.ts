import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isSolsticeError } from "../core/errors.ts";
import { runCommand } from "./command.ts";

const sh = (script: string) => ["-c", script];

test("the result has the exit code and both outputs; the program runs in the C locale", async () => {
  const result = await runCommand("sh", sh('echo "$LC_ALL"; echo oops >&2'));
  assert.deepEqual(result, { exitCode: 0, stdout: "C\n", stderr: "oops\n" });
});

test("arguments reach the program unchanged", async () => {
  const { stdout } = await runCommand("printf", ["%s|", "$(id)", "a b", ""]);
  assert.equal(stdout, "$(id)|a b||");
});

test("the error for a missing program names the package that installs it", async () => {
  await assert.rejects(
    runCommand("solstice-no-such-tool", []),
    (error) =>
      isSolsticeError(error, "host_missing_tool") &&
      error.remedy === "Install it: apt-get install -y solstice-no-such-tool",
  );
});

test("a failure has the chosen code and the tool's last output lines", async () => {
  await assert.rejects(
    runCommand("sh", sh("seq 20 >&2; exit 3"), { errorCode: "hypervisor_failed" }),
    (error) =>
      isSolsticeError(error, "hypervisor_failed") &&
      error.message === "sh failed with exit code 3: 16\n17\n18\n19\n20",
  );
});

test("an accepted exit code is not an error", async () => {
  const { exitCode } = await runCommand("sh", sh("exit 3"), { acceptExitCodes: [0, 3] });
  assert.equal(exitCode, 3);
});

test("the deadline kills grandchildren that keep the pipe open", async () => {
  const before = performance.now();
  const run = runCommand("sh", sh("sleep 300 & echo $!; wait"), { deadlineSeconds: 0.3 });
  await assert.rejects(run, (error) => {
    assert.ok(isSolsticeError(error, "internal"));
    assert.match(error.message, /did not end within 0\.3 s and was killed: \d+$/);
    const grandchild = Number(/\d+$/.exec(error.message)?.[0]);
    assert.ok(isGoneOrZombie(grandchild), `the grandchild ${grandchild} still runs`);
    return true;
  });
  assert.ok(performance.now() - before < 5000);
});

test("cancelling kills the group and rejects with the reason of the signal", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const run = runCommand("sh", sh("sleep 300 & wait"), { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(run, reason);
});

test("output beyond its limit is an error", async () => {
  await assert.rejects(
    runCommand("sh", sh("yes | head -c 100000"), { maxOutputBytes: 1000 }),
    /exceeded its output limit/,
  );
});

function isGoneOrZombie(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return true;
  }
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return / Z /.test(stat);
}

test("a program that fails because the disk is full gives disk_full, also when the caller chose another code", async () => {
  const echo = ["-c", "echo 'tool: cannot write: No space left on device' >&2; exit 1"];
  await assert.rejects(runCommand("sh", echo, { errorCode: "hypervisor_failed" }), { code: "disk_full" });
});
