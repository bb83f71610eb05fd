/** Tests of the test runner as a process, on test files that pass, fail, crash, skip and have no test. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const files = {
  passes: `test("ok", () => console.log("seed " + process.env.SOLSTICE_TEST_SEED)); test("ok too", () => {});`,
  fails: `describe("a suite", () => { test("one", () => {}); test("two", () => { console.log("printed"); assert.equal(1, 2, "not the same"); }); });`,
  crashes: `test("dies", () => process.kill(process.pid, "SIGKILL"));`,
  throws: `test("ok", () => {}); throw new Error("at the top");`,
  skips: `test("left out", { skip: "no such machine" }, () => {});`,
  exits: `test("ok", () => process.on("exit", () => (process.exitCode = 3)));`,
  empty: "",
};
let directory = "";

before(() => {
  directory = mkdtempSync(join(tmpdir(), "solstice-run-"));
  for (const [name, content] of Object.entries(files)) writeFileSync(pathOf(name), withImports(content));
});
after(() => rmSync(directory, { recursive: true }));

function withImports(content: string): string {
  return content === ""
    ? "export {};\n"
    : `import assert from "node:assert/strict";\nimport { describe, test } from "node:test";\nvoid [assert, describe];\n${content}\n`;
}

function pathOf(name: string): string {
  return join(directory, `${name}.test.ts`);
}

/** Runs the runner on files and returns its exit code and its output. */
function runOn(names: readonly string[], args: readonly string[] = [], environment: NodeJS.ProcessEnv = {}) {
  const main = join(import.meta.dirname, "main.ts");
  const all = ["--disable-warning=ExperimentalWarning", main, ...args, ...names.map(pathOf)];
  // Without the environment of the runner that runs this test.
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, ...environment };
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { env, encoding: "utf8" });
  return { status, text: stdout + stderr };
}

test("all pass: exit code 0, a line for each file, skipped tests with their reason, the counts on a separate line", () => {
  const { status, text } = runOn(["passes", "skips"], ["--seed", "41"]);
  assert.equal(status, 0, text);
  assert.match(text, /^2 test files; seed 41 /);
  assert.match(text, /^\[1\/2\] ok .*passes\.test\.ts \(2 passed\)$/m);
  assert.match(text, /skips\.test\.ts: left out: no such machine/);
  assert.match(text, /^2 passed, 0 failed, 1 skipped$/m);
});

test("a failure is shown with its place, names, error, output of the file, and the command that repeats it", () => {
  const { status, text } = runOn(["fails"], ["--seed", "41"]);
  assert.equal(status, 1);
  assert.match(text, /^\[1\/1\] FAILED .*\n {4}a suite > two: .*not the same$/m);
  assert.match(text, /^FAILED .*fails\.test\.ts:\d+: a suite > two$/m);
  assert.match(text, /not the same/);
  assert.match(text, /^ {4}printed$/m);
  assert.match(text, /repeat: npm test -- --seed 41 .*fails\.test\.ts/);
  assert.match(text, /^1 passed, 1 failed$/m);
});

test("a file that ends the process of several is named, and the others still run", () => {
  const { status, text } = runOn(["throws", "empty", "crashes", "fails", "passes"]);
  assert.equal(status, 1);
  assert.match(text, /^FAILED .*crashes\.test\.ts:1: .*\n.*SIGKILL/m);
  for (const reason of [/at the top/, /ran no test/, /not the same/]) assert.match(text, reason);
  assert.match(text, /passes\.test\.ts \(2 passed\)$/m);
  assert.match(text, /^FAILED .*throws\.test\.ts/m);
});

test("a process that fails after the tests of its files fails the run", () => {
  const { status, text } = runOn(["exits", "passes"]);
  assert.equal(status, 1, text);
  assert.match(text, /exit code 3/);
});

test("with --no-skips, and in CI, skipped tests fail the run", () => {
  assert.equal(runOn(["skips"], ["--no-skips"]).status, 1);
  assert.equal(runOn(["skips"], [], { CI: "true" }).status, 1);
});

test("--only runs the tests whose names match, and accepts files without one", () => {
  const { status, text } = runOn(["passes", "fails"], ["--only", "ok too"]);
  assert.equal(status, 0, text);
  assert.match(text, /^1 passed, 0 failed$/m);
});

test("a mistake on the command line is named: exit code 2", () => {
  for (const [args, words] of [
    [["--jobs", "0"], /--jobs takes a whole number from 1 to 64/],
    [["--nope"], /--nope/],
    [["no-such-file.test.ts"], /No test file matches/],
  ] as const) {
    const { status, text } = runOn([], args);
    assert.equal(status, 2, text);
    assert.match(text, words);
  }
});
