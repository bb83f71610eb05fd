import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { runCli } from "../../testing/run-cli.ts";

/** The completions that bash offers for the last of these words. */
function offered(script: string, words: readonly string[]): string[] {
  const program = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _solstice; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", program, "bash", ...words], { encoding: "utf8" })
    .trim()
    .split("\n");
}

test("bash completes every command and every option that --help shows", async () => {
  const { stdout: script } = await runCli(["completion", "bash"]);
  const { stdout: help } = await runCli(["--help"]);
  const listed = [...help.matchAll(/^ {2}([a-z]+)(?:\|[a-z]+)? .*/gm)].map(([, name]) => name ?? "");
  const commands = offered(script, ["solstice", ""]);
  assert.deepEqual(
    listed.filter((name) => name !== "solstice" && !commands.includes(name)),
    [],
  );
  assert.ok(listed.includes("version") && listed.includes("doctor"));
  for (const path of [["jobs"], ["cache", "delete"], ["images"]]) {
    const { stdout } = await runCli([...path, "--help"]);
    const flags = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag);
    assert.deepEqual(new Set(offered(script, ["solstice", ...path, "--"])), new Set(flags));
  }
  assert.deepEqual(offered(script, ["solstice", "cache", "de"]), ["delete"]);
  assert.deepEqual(offered(script, ["solstice", "job", "--rej"]), ["--rejected"]);
  assert.deepEqual(offered(script, ["solstice", "completion", "b"]), ["bash"]);
  assert.deepEqual(offered(script, ["solstice", "jobs", "--state", "ru"]), ["running"]);
  // Bash itself offers file names when there is no other completion.
  assert.deepEqual(offered(script, ["solstice", "enqueue", "--file", ""]), [""]);
  assert.match((await runCli(["completion", "zsh"])).stdout, /^autoload -U \+X bashcompinit/);
  assert.equal((await runCli(["completion", "fish"])).code, 2);
});
