import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { JobStepSchema, TransitionSchema } from "../../../gen/solstice/v1/jobs_pb.ts";
import { addJob, type FakeApi, labelIsFull, startFakeApi } from "../../testing/fake-api.ts";
import { runCli } from "../../testing/run-cli.ts";

let api: FakeApi;
let directory = "";
before(async () => {
  api = await startFakeApi({ token: "s3cret" });
  directory = await mkdtemp(join(tmpdir(), "solstice-cli-"));
});
afterEach(() => api.jobs.clear());
after(async () => {
  await api.stop();
  await rm(directory, { recursive: true });
});

const run = (...args: string[]) => runCli(args, { env: { API_TOKEN: "s3cret", SOLSTICE_API_URL: api.url } });

const commit = "0123456789abcdef0123456789abcdef01234567";

function addEndedJob(): void {
  const at = (seconds: number) => BigInt(1_700_000_000_000 + seconds * 1000);
  const states = ["queued", "provisioning", "booting", "running", "finalizing", "failed"];
  addJob(api, "7k3m9x", {
    state: "failed",
    attempt: 1,
    hostId: "host-a",
    repoUrl: "https://example.org/octo/cat.git",
    commitSha: commit,
    finishedMs: at(75),
    verdict: { state: "failed", reason: "step_failed", message: "Step\u001b[31m test failed.", exitCode: 3 },
    steps: [
      create(JobStepSchema, {
        index: 1,
        name: "te\u0007st",
        state: "failed",
        exitCode: 3,
        startedMs: at(9),
        finishedMs: at(70),
      }),
    ],
    transitions: states.map((to, index) =>
      create(TransitionSchema, {
        from: states[index - 1] ?? "",
        to,
        atMs: at(index * 15),
        attempt: index === 0 ? 0 : 1,
      }),
    ),
    log: { receivedBytes: 12n, completeness: "complete" },
  });
}

test("jobs: a table for people, without control characters from untrusted texts", async () => {
  addEndedJob();
  addJob(api, "8aaaaa", { state: "queued", label: "x\ny" });
  const { code, stdout, stderr } = await run("jobs");
  assert.equal(code, 0, stderr);
  const lines = stdout.split("\n");
  assert.match(lines[0] ?? "", /^ID +STATE +LABEL +SOURCE +AGE +TOOK +VERDICT$/);
  assert.match(
    lines[1] ?? "",
    /^7k3m9x +failed +debian-latest +octo\/cat@01234567 +\d+d\d\dh +1m15s +Step�\[31m test failed\.$/,
  );
  assert.match(lines[2] ?? "", /^8aaaaa +queued +x y +- /);
  assert.equal((await run("jobs", "--state", "running")).stdout, "No jobs.\n");
});

test("jobs --json: one document, snake_case, numbers that are numbers", async () => {
  addEndedJob();
  const { jobs } = JSON.parse((await run("jobs", "--json", "--state", "failed", "--limit", "5")).stdout);
  assert.equal(jobs.length, 1);
  assert.equal(jobs[0].id, "7k3m9x");
  assert.equal(jobs[0].submitted_ms, 1_700_000_000_000);
  assert.deepEqual(jobs[0].size, { cpu: 2, ram_mb: 2048, disk_gb: 20 });
  assert.equal(jobs[0].verdict.exit_code, 3);
  assert.equal("steps" in jobs[0], false);
});

test("jobs JOB: all facts about one job, by the beginning of its id", async () => {
  addEndedJob();
  const { stdout } = await run("jobs", "7k");
  assert.match(stdout, /^Job +7k3m9x$/m);
  assert.match(stdout, /^Verdict +Step�\[31m test failed\. \(step_failed\)$/m);
  assert.match(stdout, /^Repository +https:\/\/example\.org\/octo\/cat\.git$/m);
  assert.match(stdout, /^1 +te�st +failed +3 +1m01s$/m);
  assert.match(stdout, /^1 +running +2023-11-14 22:14:05 UTC +15s$/m);
  assert.match(stdout, /^1 +failed +2023-11-14 22:14:35 UTC$/m);
  const document = JSON.parse((await run("jobs", "7k", "--json")).stdout);
  assert.equal(document.steps[0].name, "te\u0007st");
  assert.equal(document.log.received_bytes, 12);
  assert.deepEqual(document.timings[3], { state: "running", attempt: 1, ms: 15_000 });
  assert.equal(document.timings.length, 5);
});

test("jobs JOB --json: a hold that was not refused has no message", async () => {
  addJob(api, "7k3m9x", { state: "finalizing", hold: { state: "ending" } });
  const { hold } = JSON.parse((await run("jobs", "7k3m9x", "--json")).stdout);
  assert.deepEqual(hold, { state: "ending", until_ms: null, released_ms: null, message: null });
});

test("jobs JOB: a log that retention removed, with its date", async () => {
  const expiredMs = BigInt(Date.UTC(2026, 10, 24, 12));
  addJob(api, "9bbbbb", {
    state: "succeeded",
    log: { receivedBytes: 12n, completeness: "expired", expiredMs },
  });
  assert.match((await run("jobs", "9bbbbb")).stdout, /^Log +12 bytes, removed by retention on 2026-11-24$/m);
  const { log } = JSON.parse((await run("jobs", "9bbbbb", "--json")).stdout);
  assert.deepEqual(log, {
    received_bytes: 12,
    completeness: "expired",
    missing: null,
    expired_ms: Number(expiredMs),
  });
});

test("cancel: one missing job sets exit code 1, and the other jobs are cancelled", async () => {
  addJob(api, "7k3m9x");
  addEndedJob();
  addJob(api, "8aaaaa");
  const { code, stdout, stderr } = await run("cancel", "nosuch", "8a", "7k");
  assert.equal(code, 1);
  assert.equal(stdout, "Job 8aaaaa is cancelled.\nJob 7k3m9x has already ended: failed.\n");
  assert.match(stderr, /^solstice: There is no job nosuch\./);
  const { jobs } = JSON.parse((await run("cancel", "--json", "8a")).stdout);
  assert.equal(jobs[0].state, "cancelled");
});

test("options of the list are refused together with a job", async () => {
  addJob(api, "7k3m9x");
  for (const args of [
    ["--state", "queued"],
    ["--limit", "5"],
  ]) {
    const { code, stderr } = await run("jobs", "7k3m9x", ...args);
    assert.deepEqual(
      [code, /--state and --limit filter the list: do not give JOB/.test(stderr)],
      [2, true],
      stderr,
    );
  }
});

test("explain and capacity", async () => {
  addJob(api, "7k3m9x");
  api.explanation = labelIsFull;
  assert.match(
    (await run("explain", "7k")).stdout,
    /^2 of 2 jobs of debian-latest run\. It may start in 0\.0s\.\n$/,
  );
  assert.deepEqual(JSON.parse((await run("explain", "7k", "--json")).stdout), {
    constraint: "label_cap",
    message: "2 of 2 jobs of debian-latest run.",
    estimated_start_ms: 1,
  });
  const { stdout } = await run("capacity");
  assert.match(stdout, /^1 of 4 running, 2 waiting\.\n\nLABEL/);
  assert.match(stdout, /^debian-latest +debian-12 +1 of 2 +2 +ready$/m);
  assert.equal(JSON.parse((await run("capacity", "--json")).stdout).labels[0].cap, 2);
});

test("capacity shows the hosts if there are several", async () => {
  const host = { backend: "noop", state: "serving", maxConcurrency: 4, running: 1, labels: ["a", "b"] };
  assert.doesNotMatch((await run("capacity")).stdout, /HOST/);
  api.hosts = [
    { ...host, hostId: "one", readyLabels: ["a", "b"] },
    { ...host, hostId: "two", readyLabels: ["a"], state: "paused", message: "The disk is full." },
  ];
  const { stdout } = await run("capacity");
  assert.match(stdout, /^one +noop +1 of 4 +a, b +serving$/m);
  assert.match(stdout, /^two +noop +1 of 4 +a, b \(1 not ready\) +paused: The disk is full\.$/m);
  const { hosts } = JSON.parse((await run("capacity", "--json")).stdout);
  assert.deepEqual([hosts[1].host_id, hosts[1].ready_labels], ["two", ["a"]]);
  api.hosts = [];
});

test("a missing or wrong token: exit code 77 and a remedy", async () => {
  const { code, stderr } = await runCli(["jobs"], { env: { SOLSTICE_API_URL: api.url } });
  assert.equal(code, 77);
  assert.match(
    stderr,
    /^solstice: This API requires a token\.\nSet API_TOKEN to the token of the orchestrator\.\n$/,
  );
});

test("images: lists the images of the map, and pulls a file", async () => {
  const map = join(directory, "map.yaml");
  await writeFile(join(directory, "source.raw"), Buffer.alloc(1024 * 1024, 1));
  await writeFile(
    map,
    "default_label: latest\naliases: {latest: tiny}\nimages:\n  tiny: {source: source.raw, format: raw}\n  gone: {source: absent.raw}\n",
  );
  const flags = ["--config", map, "--data-dir", join(directory, "data")];
  const before = await run("images", ...flags);
  assert.match(before.stdout, /^NAME +LABELS +STATE +SIZE +SHA-256 +PATH$/m);
  assert.match(before.stdout, /^tiny +latest +missing +.*data\/images\/tiny\.raw$/m);
  const pulled = await run("images", "pull", "tiny", ...flags);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.match(pulled.stdout, /^tiny is ready: .*tiny\.raw \(1\.0 MiB\)\n$/);
  const all = await run("images", "pull", ...flags, "--json");
  assert.equal(all.code, 1);
  assert.match(all.stderr, /"error":.*Image gone: The image's source/s);
  const after = await run("images", ...flags);
  assert.match(after.stdout, /^gone +missing /m);
  assert.match(after.stdout, /^gone: 20\S+Z: The image's source .*absent\.raw does not exist\./m);
  const { images } = JSON.parse(all.stdout);
  assert.deepEqual(images[0].labels, ["tiny", "latest"]);
  assert.equal(images[0].state, "ready");
  assert.match(images[0].sha256, /^[0-9a-f]{64}$/);
  const unknown = await run("images", "pull", "tinny", ...flags);
  assert.match(unknown.stderr, /no image "tinny" \(did you mean "tiny"\?\)\.\nImages: tiny, gone\./);
});

test("all problems of a wrong map are reported, with exit code 78", async () => {
  const map = join(directory, "wrong.yaml");
  await writeFile(map, "default_label: x\nimages: {a: {}}\n");
  const { code, stderr } = await run("orchestrator", "--config", map, "--max-concurrency", "0");
  assert.equal(code, 78);
  assert.equal(
    stderr,
    [
      "solstice: The configuration is not valid:",
      '  --max-concurrency: got "0"; needs a whole number from 1 to 1000.',
      `  ${map}:1:16: default_label leads to "x", which is no image or alias; valid names: a`,
      `  ${map}:2:10: image "a" has no file; give source (where to download it) or local_path (where it is)`,
      "",
    ].join("\n"),
  );
});
