import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { jobRequestSchema } from "../../core/request/job-request.ts";
import { addJob, type FakeApi, startFakeApi } from "../testing/fake-api.ts";
import { runCli } from "../testing/run-cli.ts";

let api: FakeApi;
let directory: string;
before(async () => {
  api = await startFakeApi();
  directory = await mkdtemp(join(tmpdir(), "solstice-job-file-"));
});
afterEach(() => {
  api.jobs.clear();
  api.submitted.length = 0;
});
after(async () => {
  await api.stop();
  await rm(directory, { recursive: true });
});

const commit = "1f0c6a1f9e0b7f3f1c1e7c2a4b9d8e6f5a3c2b1d";

function fileOf(text: string): string {
  const path = join(directory, "job.yaml");
  writeFileSync(path, text);
  return path;
}

async function enqueue(args: readonly string[], input = ""): Promise<Record<string, unknown>> {
  api.onSubmit = () => addJob(api, "7k3m9x");
  const { code, stderr } = await runCli(["enqueue", "--api-url", api.url, ...args], { input });
  assert.equal(code, 0, stderr);
  const { request_id: _id, submitted_at: _at, ...request } = api.submitted[0] ?? {};
  return request;
}

const wholeFile = `
repo_url: https://git.example.org/team/tool.git
commit_sha: ${commit}
runs_on: debian-12
timeout_seconds: 60
env: { LEVEL: "1", KEPT: "yes" }
steps:
  - name: build
    run: |
      make
      make docs
`;

test("a job file is a whole request, and flags have priority", async () => {
  const flags = ["--runs-on", "illumos", "--env", "LEVEL=2", "--timeout", "2m"];
  const request = await enqueue(["--file", fileOf(wholeFile), ...flags]);
  assert.deepEqual(request, {
    schema_version: "jobrequest.v1",
    source: "cli",
    repo_url: "https://git.example.org/team/tool.git",
    repo_owner: "team",
    repo_name: "tool",
    commit_sha: commit,
    runs_on: "illumos",
    timeout_seconds: 120,
    env: { LEVEL: "2", KEPT: "yes" },
    steps: [{ name: "build", run: "make\nmake docs\n" }],
    secrets: [],
    artifacts: [],
    from_fork: false,
    priority: 0,
  });
});

test("the job file of docs/reference/jobs.md is valid, and every key of a request is documented there or in messages.md", async () => {
  const page = readFileSync(new URL("../../../docs/reference/jobs.md", import.meta.url), "utf8");
  const example = /<!-- job-file-example.*?```yaml\n(.*?)```/s.exec(page)?.[1] ?? "";
  await enqueue(["--file", fileOf(example), "--commit", commit]);
  const forPrograms = ["schema_version", "request_id", "repo_owner", "repo_name", "submitted_at"];
  for (const key of Object.keys(jobRequestSchema.shape).filter((name) => !forPrograms.includes(name)))
    assert.ok(page.includes(`\`${key}\``), key);
});

test("a job file may be JSON on standard input, and --no-repo removes its repository", async () => {
  const text = JSON.stringify({ repo_url: "https://a.example/b.git", commit_sha: commit, script: "true" });
  const request = await enqueue(["--file", "-", "--no-repo"], text);
  assert.deepEqual([request.script, request.repo_url, request.commit_sha], ["true", undefined, undefined]);
});

test("all problems of a job file are reported with their places, before any request is sent", async () => {
  const wrong: [text: string, problems: RegExp[]][] = [
    [
      "steps:\n  - name: a\n    run: 5\n  - name: ''\n    run: b\npriority: 1000\nstepz: 1\n",
      [
        /job\.yaml:3:10: steps\.0\.run: /,
        /job\.yaml:4:11: steps\.1\.name: /,
        /job\.yaml:6:11: priority: /,
        /job\.yaml:7:8: stepz: no such key \(did you mean "steps"\?\); docs\/reference\/jobs\.md/,
      ],
    ],
    ["steps:\n  - { name: a, run: b, colour: red }\n", [/job\.yaml:2:\d+: steps\.0\.colour: no such key/]],
    [
      "steps: [{name: a, run: x, cmd: y}, {run: x}]\nartifacts: [{path: x}]\nscript: z\ncache: {key: a, paths: [x], pathz: [x]}\ntimeout: 5\nhold_on_failure: 5\n",
      [
        /job\.yaml:1:32: steps\.0\.cmd: no such key/,
        /job\.yaml:1:36: steps\.1\.name: is missing/,
        /job\.yaml:1:\d+: steps: steps and script are both given/,
        /job\.yaml:2:20: artifacts\.0\.path: no such key \(did you mean "paths"\?\)/,
        /job\.yaml:2:\d+: artifacts\.0\.paths: is missing/,
        /job\.yaml:4:36: cache\.pathz: no such key \(did you mean "paths"\?\)/,
        /job\.yaml:5:\d+: timeout: no such key \(did you mean "timeout_seconds"\?\)/,
        /job\.yaml:6:\d+: hold_on_failure: no such key \(did you mean "hold_on_failure_seconds"\?\)/,
      ],
    ],
    ["script: a\nscript: b\n", [/job\.yaml:2:1: this key occurs twice/]],
    ["- a\n", [/job\.yaml:1:1: needs keys/]],
    ["env: { A: b }\n", [/steps and script are both missing/]],
  ];
  for (const [text, problems] of wrong) {
    const args = ["enqueue", "--no-repo", "--api-url", api.url, "--file", fileOf(text)];
    const { code, stderr } = await runCli(args);
    assert.equal(code, 2, stderr);
    for (const problem of problems) assert.match(stderr, problem);
    const places = [...stderr.matchAll(/job\.yaml:(\d+):(\d+)/g)].map(
      (at) => Number(at[1]) * 1e6 + Number(at[2]),
    );
    assert.deepEqual(
      places,
      places.toSorted((one, other) => one - other),
      stderr,
    );
  }
  const flagWins = ["--size", "x".repeat(101), "--file", fileOf("script: a\nsize: small\nrepo_url: ''\n")];
  const { stderr: ofFlag } = await runCli(["enqueue", "--no-repo", "--api-url", api.url, ...flagWins]);
  assert.match(ofFlag, /^ {2}--size: must have at most/m);
  const latin1 = join(directory, "latin1");
  writeFileSync(latin1, Buffer.from("script: |\n  echo gr\u00fc\u00df\n", "latin1"));
  for (const flag of ["--file", "--script-file"]) {
    const { code, stderr } = await runCli(["enqueue", "--no-repo", "--api-url", api.url, flag, latin1]);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`${flag}: line 2 of ${latin1} is not UTF-8 text`));
  }
  const both = ["enqueue", "--no-repo", "--api-url", api.url, "--file", fileOf("script: a"), "--script", "b"];
  assert.match((await runCli(both)).stderr, /A job file names the steps to run: do not give --script/);
  const none = ["enqueue", "--no-repo", "--api-url", api.url, "--file", "/nonexistent"];
  assert.match((await runCli(none)).stderr, /--file: cannot read \/nonexistent/);
  assert.equal(api.submitted.length, 0);
});
