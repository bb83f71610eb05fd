import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import type { CliContext } from "../context.ts";
import { createProgram } from "../program.ts";
import { reportError } from "./report-error.ts";

/** The stderr text and the exit code of a wrong command line. */
async function mistake(...args: string[]): Promise<{ exitCode: number; text: string }> {
  const stderr = new PassThrough();
  const context = {
    ...{ stdout: new PassThrough(), stderr, stdin: process.stdin, now: Date.now, env: { NO_COLOR: "1" } },
    setExitCode: () => {},
  } as unknown as CliContext;
  const error = await (await createProgram(context, args)).parseAsync(args, { from: "user" }).then(
    () => assert.fail("the command line was accepted"),
    (reason: unknown) => reason,
  );
  const exitCode = reportError(context, error, { json: args.includes("--json"), args });
  return { exitCode, text: String(stderr.read()) };
}

test("the error for a wrong command line names its help and the closest name", async () => {
  const cases: readonly (readonly [args: string[], text: RegExp])[] = [
    [["jobs", "--frobnicate"], /unknown option '--frobnicate'\nSee: solstice jobs --help\n$/],
    [["orchestrator", "--confg", "x"], /Did you mean --config\?\)\nSee: solstice orchestrator --help\n$/],
    [["enque"], /Did you mean enqueue\?\)\nSee: solstice --help\n$/],
    [["logs"], /'JOB'\n`solstice jobs` lists the jobs\. See: solstice logs --help\n$/],
    [["enqueue", "job.yaml"], /Name a job file with --file, .*See: solstice enqueue --help\n$/],
    [["enqueue", "--file", "/nonexistent/job.yaml"], /cannot read \S+job\.yaml: there is no such file\.\n$/],
    [["artifacts", "delete", "7k3m"], /too many arguments.*\n.*artifacts get JOB.*--help\n$/],
    [["enqueue", "--file", "/"], /cannot read \/: it is a directory\.\n$/],
  ];
  for (const [args, text] of cases) {
    const reported = await mistake(...args);
    assert.match(reported.text, text, args.join(" "));
    assert.equal(reported.exitCode, 2);
  }
  const json = JSON.parse((await mistake("jobs", "--json", "--nope")).text);
  assert.equal(json.error.remedy, "See: solstice jobs --help");
});

test("a permission error is no defect of Solstice, and names the file", () => {
  const stderr = new PassThrough();
  const context = { stderr, env: { NO_COLOR: "1" } } as unknown as CliContext;
  const refusal = Object.assign(new Error("EACCES: permission denied, open '/a'"), {
    code: "EACCES",
    path: "/a",
  });
  assert.equal(reportError(context, refusal, { json: false }), 78);
  assert.match(String(stderr.read()), /\/a: permission denied\.\nRun as the user that owns it/);
});
