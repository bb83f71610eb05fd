/** Tests the cache as a whole: the real orchestrator and the real runner, as child processes of the noop backend. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { JobRequestInput } from "../../src/core/request/job-request.ts";
import { startGitServer } from "../../src/demo/git-server.ts";
import type { Job } from "../../src/gen/solstice/v1/jobs_pb.ts";
import { filesBelow } from "../support/files-below.ts";
import { readLog, submit, untilEnd, untilLogged } from "../support/jobs.ts";
import {
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  shareOrchestrator,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { until } from "../support/until.ts";

const imageMap = `
default_label: any
aliases: { other: another }
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
  another: { local_path: /nonexistent/another.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

const processFlags = ["--hypervisor", "noop", "--noop-runner", "process", "--runner-listen", "127.0.0.1:0"];

function setUp(context: TestContext, ...flags: string[]): OrchestratorSetup {
  return makeSetup(context, imageMap, [...processFlags, ...flags]);
}

type Request = Omit<JobRequestInput, "request_id">;

/** Runs a job to its end. Returns the job with its log. */
async function run(orchestrator: OrchestratorProcess, request: Request): Promise<Job & { text: string }> {
  const job = await untilEnd(orchestrator, await submit(orchestrator, request));
  const text = (await readLog(orchestrator, job.id)).toString();
  return { ...job, text };
}

/** The uses of a job's caches, each as `ACTION OUTCOME KEY`. */
function usesOf(job: Job): string[] {
  return job.cache.map((use) => `${use.action} ${use.outcome} ${use.key}`);
}

function succeeded(job: Job & { text: string }, orchestrator: OrchestratorProcess): void {
  assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${job.text}\n${orchestrator.log()}`);
}

/** The files that hold the cache's entries. */
function blobsOf({ dataDir }: OrchestratorSetup): string[] {
  return filesBelow(join(dataDir, "files/blobs/cache")).map(({ path }) => path);
}

/** A repository on a git server; `commit` writes files, commits them, and returns the commit. */
async function makeRepository(context: TestContext) {
  const root = mkdtempSync("/var/tmp/solstice-cache-git-");
  context.after(() => rmSync(root, { recursive: true, force: true }));
  const work = join(root, "work");
  mkdirSync(work);
  const git = (...args: string[]) =>
    execFileSync("git", [
      "-c",
      "user.name=t",
      "-c",
      "user.email=t@example.org",
      "-C",
      work,
      ...args,
    ]).toString();
  git("init", "-q", "-b", "main", ".");
  execFileSync("git", ["clone", "-q", "--bare", work, join(root, "app.git")], { stdio: "ignore" });
  const server = await startGitServer(root);
  context.after(() => server.close());
  return {
    url: `${server.url}/app.git`,
    commit(files: Record<string, string>): string {
      for (const [name, content] of Object.entries(files)) writeFileSync(join(work, name), content);
      git("add", "-A");
      git("commit", "-q", "--allow-empty", "-m", "change");
      git("push", "-q", join(root, "app.git"), "HEAD:refs/heads/main");
      return git("rev-parse", "HEAD").trim();
    },
  };
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const keyOf = (lock: string) => `deps-${sha256(lock).slice(0, 32)}`;

/** Makes the cached files, unless they exist, and prints a digest of them. */
const useCache = `
  if [ ! -e 'deps dir' ]; then
    echo built; mkdir -p 'deps dir/sub' "$HOME/store"
    head -c 3000000 /dev/urandom >'deps dir/sub/bytes'; ln -s sub/bytes 'deps dir/link'
    printf x >"deps dir/$ODD"; touch 'deps dir/-rf'; chmod 4751 'deps dir/sub/bytes'
    echo home >"$HOME/store/file"
  fi
  test "$(cat "deps dir/$ODD")" = x
  (cd 'deps dir' && find . | LC_ALL=C sort && ls -l sub | cut -c1-10; cat link sub/bytes "$HOME/store/file" | sha256sum) >seen
  echo "digest $(sha256sum <seen)"
`;

const digestOf = (job: { text: string }) => /digest ([0-9a-f]{64})/.exec(job.text)?.[1];

describe("caches of one orchestrator's jobs", () => {
  const shared = shareOrchestrator(imageMap, processFlags);

  test("a job that failed or was cancelled saves nothing, and a step after it is skipped", async () => {
    const { setup, orchestrator } = shared;
    const cache = { key: "k", paths: ["kept"] };
    const failed = await run(orchestrator, { script: "echo x >kept; exit 3", cache });
    assert.equal(failed.verdict?.exitCode, 3);
    assert.deepEqual(
      failed.steps.map((step) => [step.name, step.state]),
      [
        ["restore cache", "succeeded"],
        ["script", "failed"],
        ["save cache", "skipped"],
      ],
    );
    const id = await submit(orchestrator, { script: "echo x >kept; echo up; sleep 1000", cache });
    await untilLogged(orchestrator, id, "up");
    await orchestrator.api.cancel({ jobId: id });
    assert.equal((await untilEnd(orchestrator, id)).state, "cancelled");
    assert.deepEqual((await orchestrator.api.listCache({})).entries, []);
    assert.deepEqual(blobsOf(setup), []);
  });

  test("other images, refs and lists of paths are other caches; a fork reads and never writes", async () => {
    const { orchestrator } = shared;
    const cache = { key: "k", paths: ["kept"] };
    const request = { script: "[ -e kept ] || date >kept; cat kept", cache, ref: "main" };
    succeeded(await run(orchestrator, request), orchestrator);
    const restored = async (change: Request) =>
      (await run(orchestrator, { ...request, ...change })).cache[0]?.outcome;
    assert.equal(await restored({ runs_on: "other", from_fork: true }), "miss");
    assert.equal(await restored({ cache: { key: "k", paths: ["kept", "more"] }, from_fork: true }), "miss");
    const fork = await run(orchestrator, { ...request, ref: "refs/pull/1/head", from_fork: true });
    assert.deepEqual(usesOf(fork), ["restore hit k", "save read_only k"]);
    assert.match(fork.text, /not saved: pull requests from forks must not save caches/);
    const second = await run(orchestrator, { ...request, cache: { ...cache, key: "new" }, from_fork: true });
    assert.deepEqual(usesOf(second), ["restore miss new", "save read_only new"]);
    assert.equal((await orchestrator.api.listCache({})).entries.length, 1);
  });

  test("several caches of one job, with missing paths, and a key without a file", async () => {
    const { orchestrator } = shared;
    const cache = [
      { key: "a-{hash:no such file}", paths: ["a", "missing"] },
      { key: "b", paths: ["missing"] },
    ];
    const job = await run(orchestrator, { script: "echo 1 >>a; wc -l <a", cache });
    succeeded(job, orchestrator);
    assert.deepEqual(usesOf(job), ["restore miss a-none", "restore miss b", "save saved a-none"]);
    assert.match(job.text, /cache a-none: missing does not exist/);
    assert.match(job.text, /cache b: not saved: none of its paths exists/);
    assert.match((await run(orchestrator, { script: "echo 1 >>a; wc -l <a", cache })).text, /^2$/m);
  });

  test("a job that misses saves, and the next restores the same bytes; a changed lock file finds the older entry", async (context) => {
    const { orchestrator } = shared;
    const repository = await makeRepository(context);
    const cache = { key: "deps-{hash:lock file}", paths: ["deps dir", "~/store"], restore_keys: ["deps-"] };
    const env = { HOME: mkdtempSync("/var/tmp/solstice-cache-home-"), ODD: `it's "odd" $HOME \\ ü` };
    const request = { repo_url: repository.url, ref: "refs/heads/main", script: useCache, cache, env };
    const one = repository.commit({ "lock file": "one" });

    const first = await run(orchestrator, { ...request, commit_sha: one });
    succeeded(first, orchestrator);
    assert.deepEqual(usesOf(first), [`restore miss ${keyOf("one")}`, `save saved ${keyOf("one")}`]);
    assert.deepEqual(
      first.steps.map((step) => [step.name, step.state]),
      [
        ["checkout", "succeeded"],
        ["restore cache", "succeeded"],
        ["script", "succeeded"],
        ["save cache", "succeeded"],
      ],
    );
    assert.match(first.text, /no entry \(miss\)\n.*built.*saved 2\.8 MiB/s);

    rmSync(env.HOME, { recursive: true });
    mkdirSync(env.HOME);
    const second = await run(orchestrator, { ...request, commit_sha: one });
    succeeded(second, orchestrator);
    assert.doesNotMatch(second.text, /built/);
    assert.match(second.text, /restored 2\.8 MiB \(hit\)/);
    assert.equal(digestOf(second), digestOf(first));
    assert.deepEqual(usesOf(second), [`restore hit ${keyOf("one")}`, `save exists ${keyOf("one")}`]);

    const two = repository.commit({ "lock file": "two" });
    const third = await run(orchestrator, { ...request, commit_sha: two });
    assert.equal(digestOf(third), digestOf(first));
    assert.deepEqual(usesOf(third), [`restore partial ${keyOf("one")}`, `save saved ${keyOf("two")}`]);
    rmSync(env.HOME, { recursive: true });

    const { entries } = await orchestrator.api.listCache({ repoUrl: repository.url });
    assert.deepEqual(entries.map((entry) => entry.key).sort(), [keyOf("one"), keyOf("two")].sort());
  });
});

describe("caches with little room, damage or kills", { concurrency: 2 }, () => {
  test("when there is no room, the least recently used entry is removed with its bytes", async (context) => {
    const setup = setUp(context, "--cache-entry-limit-mb", "2", "--cache-repository-limit-mb", "3");
    const orchestrator = await startOrchestrator(setup);
    const save = (key: string, bytes: number) =>
      run(orchestrator, { script: `head -c ${bytes} /dev/urandom >kept`, cache: { key, paths: ["kept"] } });
    const mebibyte = 1024 * 1024;
    succeeded(await save("one", mebibyte), orchestrator);
    succeeded(await save("two", mebibyte), orchestrator);
    // Used again: now the other entry is the least recently used.
    assert.deepEqual((await save("one", 1)).cache[0]?.outcome, "hit");
    const third = await save("three", 1_250_000);
    assert.deepEqual(usesOf(third), ["restore miss three", "save saved three"]);
    const kept = async () => (await orchestrator.api.listCache({})).entries.map((entry) => entry.key).sort();
    assert.deepEqual(await kept(), ["one", "three"]);
    assert.equal(blobsOf(setup).length, 2);
    const large = await save("large", 2_200_000);
    succeeded(large, orchestrator);
    assert.deepEqual(usesOf(large), ["restore miss large", "save no_room large"]);
    assert.match(large.text, /not saved: the entry has 2\.1 MiB, more than the limit of 2\.0 MiB/);
    const metrics = await (await fetch(`${orchestrator.apiUrl}/metrics`)).text();
    assert.match(metrics, /^solstice_cache_restores_total\{outcome="hit"\} 1$/m);
    assert.match(metrics, /^solstice_cache_removed_total\{reason="beyond_limit"\} 1$/m);
  });

  test("damaged and lost bytes never fail a job: it runs without them, and saves again when they are gone", async (context) => {
    const setup = setUp(context);
    const orchestrator = await startOrchestrator(setup);
    const request = {
      script: "[ ! -e kept ] || echo kept; date >kept",
      cache: { key: "k", paths: ["kept"] },
    };
    succeeded(await run(orchestrator, request), orchestrator);
    assert.equal(blobsOf(setup).length, 1);
    const [blob = ""] = blobsOf(setup);
    writeFileSync(blob, "x".repeat(readFileSync(blob).length));
    const damaged = await run(orchestrator, request);
    succeeded(damaged, orchestrator);
    assert.match(damaged.text, /could not be fetched; continuing without it/);
    assert.doesNotMatch(damaged.text, /^kept$/m);
    rmSync(blob);
    await orchestrator.stop("SIGTERM");
    const next = await startOrchestrator(setup);
    await until("the entry without bytes is gone", async () =>
      (await next.api.listCache({})).entries.length === 0 ? true : null,
    );
    assert.deepEqual(usesOf(await run(next, request)), ["restore miss k", "save saved k"]);
  });

  test("kill -9 of the orchestrator in the middle of a save: the partial entry stays invisible, and the runner saves it completely", async (context) => {
    const setup = setUp(context);
    const first = await startOrchestrator(setup);
    const runnerListen = ["--runner-listen", new URL(first.runnerUrl).host];
    const script = "[ -e kept ] || head -c 20000000 /dev/urandom >kept; sha256sum <kept";
    const request = { script, cache: { key: "k", paths: ["kept"] } };
    const id = await submit(first, request);
    const staging = join(setup.dataDir, "files/staging");
    await until("some of the save has come", () => existsSync(staging) && readdirSync(staging).length > 0);
    await first.stop("SIGKILL");
    const second = await startOrchestrator(setup, runnerListen);
    const job = await untilEnd(second, id);
    assert.equal(job.state, "succeeded", second.log());
    assert.deepEqual(usesOf(job), ["restore miss k", "save saved k"]);
    assert.deepEqual([blobsOf(setup).length, readdirSync(staging)], [1, []]);
    const restored = await run(second, request);
    assert.match(restored.text, /restored .* \(hit\)/);
    const digest = /^[0-9a-f]{64} {2}-$/m;
    assert.equal(digest.exec(restored.text)?.[0], digest.exec((await readLog(second, id)).toString())?.[0]);
  });
});
