import assert from "node:assert/strict";
import { test } from "node:test";
import { projectVersion } from "../../host/version.ts";
import { runCli } from "../testing/run-cli.ts";

test("a word that names no command is an error with a hint, also after help and in a subcommand", async () => {
  for (const [line, hint] of [
    ["help nope", "Commands: orchestrator, "],
    ["nope --help", "Commands: orchestrator, "],
    ["jbos", '(did you mean "jobs"?)'],
    ["artifacts gte 7k3m", '(did you mean "get"?)'],
    ["help job-s", '(did you mean "jobs"?)'],
    ["cache delte", '(did you mean "delete"?)'],
    ["cache delte --help", '(did you mean "delete"?)'],
    ["help cache delte", '(did you mean "delete"?)'],
    ["cache help delte", '(did you mean "delete"?)'],
    ["images pul debian-12", '(did you mean "pull"?)'],
    ["images pul", '(did you mean "pull"?)'],
    ["artifacts gett 7k3m", '(did you mean "get"?)'],
    ["help jobs nope", "solstice jobs --help"],
  ] as const) {
    const { code, stdout, stderr } = await runCli(line.split(" "));
    assert.deepEqual([code, stdout], [2, ""], line);
    assert.ok(stderr.includes(hint), `${line}: ${stderr}`);
    assert.match(stderr, /\nSee: solstice (?:cache |images |artifacts |jobs )?--help\n$/, line);
  }
});

test("the help of a subcommand, in each order of the words", async () => {
  const { stdout: help } = await runCli(["cache", "delete", "--help"]);
  assert.match(help, /^Usage: solstice cache delete/);
  for (const line of ["help cache delete", "cache help delete", "cache help rm"]) {
    assert.deepEqual(await runCli(line.split(" ")), { code: 0, stdout: help, stderr: "" }, line);
  }
  const { stdout: all } = await runCli(["--help"]);
  assert.deepEqual(await runCli(["help"]), { code: 0, stdout: all, stderr: "" });
});

test("version is a command and an option", async () => {
  const { stdout } = await runCli(["--version"]);
  assert.equal(stdout, `${projectVersion()}\n`);
  assert.deepEqual(await runCli(["version"]), { code: 0, stdout, stderr: "" });
  assert.deepEqual(JSON.parse((await runCli(["version", "--json"])).stdout), { version: projectVersion() });
});

test("aliases: the names that other tools have for the same commands", async () => {
  for (const [alias, name] of [
    ["job", "jobs"],
    ["ls", "jobs"],
    ["log", "logs"],
    ["submit", "enqueue"],
    ["image pull", "images pull"],
    ["artifact get", "artifacts get"],
    ["cache ls", "cache list"],
    ["cache remove", "cache delete"],
  ] as const) {
    const words = [alias, name].map((line) => runCli([...line.split(" "), "--help"]));
    const [one, other] = await Promise.all(words);
    assert.equal(one?.code, 0, alias);
    assert.equal(one?.stdout, other?.stdout, alias);
  }
  const [list, plain] = await Promise.all([runCli(["jobs", "list"]), runCli(["jobs"])]);
  assert.deepEqual(list, plain);
});

test("cache delete requires exactly one way to name entries", async () => {
  for (const line of ["cache delete", "cache delete abcd --repo x", "cache delete --all --key k"]) {
    const { code, stderr } = await runCli(line.split(" "));
    assert.equal(code, 2, line);
    assert.match(stderr, /ID.*--repo.*--key.*--all/s, line);
  }
});
