/** Tests files that jobs keep: the real orchestrator, the real runner as a child process, the real command line. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { PrivateSwift, swiftCredentials, swiftMissing } from "../../src/blobs/testing/private-swift.ts";
import { filesBelow } from "../support/files-below.ts";
import { readLog, submit, untilEnd } from "../support/jobs.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { until } from "../support/until.ts";

const imageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

function setUp(context: TestContext, ...flags: string[]) {
  return makeSetup(context, imageMap, [
    ...["--hypervisor", "noop", "--noop-runner", "process", "--runner-listen", "127.0.0.1:0", ...flags],
  ]);
}

async function artifacts({ apiUrl }: OrchestratorProcess, ...args: string[]) {
  const env = { ...cleanEnvironment(), SOLSTICE_API_URL: apiUrl };
  const { stdout } = await promisify(execFile)(solstice, ["artifacts", ...args, "--json"], { env });
  return JSON.parse(stdout).artifacts as {
    name: string;
    sha256: string;
    size_bytes: number;
    state?: string;
  }[];
}

test("files of jobs on this host", async (context) => {
  const setup = setUp(context);
  const first = await startOrchestrator(setup);

  await context.test(
    "a job's files are kept, listed and fetched; a missing file fails the job by name",
    async () => {
      const orchestrator = first;
      const id = await submit(orchestrator, {
        script: "mkdir -p dist; echo one >dist/a; echo two >'dist/b c'",
        artifacts: [{ paths: ["dist/**"] }, { paths: ["core.*"], required: false }],
      });
      const job = await untilEnd(orchestrator, id);
      assert.deepEqual([job.state, job.verdict?.message], ["succeeded", "Every step succeeded."]);
      assert.deepEqual(
        (await artifacts(orchestrator, id)).map(({ name }) => name),
        ["dist/a", "dist/b c"],
      );
      await artifacts(orchestrator, "get", id, "-o", join(setup.dataDir, "got"));
      assert.equal(readFileSync(join(setup.dataDir, "got/dist/b c"), "utf8"), "two\n");

      const missing = await submit(orchestrator, { script: "true", artifacts: [{ paths: ["no/such*"] }] });
      const failed = await untilEnd(orchestrator, missing);
      assert.deepEqual([failed.state, failed.verdict?.reason], ["failed", "artifact_missing"]);
      assert.match(failed.verdict?.message ?? "", /no file matches the artifact pattern 'no\/such\*'/);
      assert.match((await readLog(orchestrator, missing)).toString(), /no\/such\*/);
    },
  );

  await context.test(
    "kill -9 in the middle of a file: the next process continues it, and its digest is right",
    async () => {
      const staging = join(setup.dataDir, "files", "staging");
      const id = await submit(first, {
        script: "head -c 60000000 /dev/urandom >big; sha256sum big",
        artifacts: [{ paths: ["big"] }],
      });
      const staged = () => filesBelow(staging)[0]?.bytes ?? 0;
      await until("the first bytes", () => staged() > 1_000_000);
      await first.stop("SIGKILL");
      const before = staged();
      assert.ok(before > 0 && before < 60_000_000, `${before} bytes had come`);
      const second = await startOrchestrator(setup, ["--runner-listen", new URL(first.runnerUrl).host]);
      const job = await untilEnd(second, id);
      assert.deepEqual([job.state, job.attempt], ["succeeded", 1]);
      const [artifact] = await artifacts(second, id);
      assert.match((await readLog(second, id)).toString(), new RegExp(`^${artifact?.sha256}  big`));
      await artifacts(second, "get", id, "-o", join(setup.dataDir, "got-big"));
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(join(setup.dataDir, "got-big", "big")))
        hash.update(chunk as Buffer);
      assert.equal(hash.digest("hex"), artifact?.sha256);
      assert.deepEqual(readdirSync(staging), []);
    },
  );
});

test("files are stored in a bucket, which may be unavailable for a while; none of them stays on the host", {
  skip: swiftMissing,
}, async (context) => {
  const bucket = await PrivateSwift.start();
  context.after(() => bucket.stop());
  await bucket.createBucket("artifacts");
  const setup = setUp(context, "--blob-store", "s3://artifacts/ci", "--s3-endpoint", bucket.endpoint);
  const orchestrator = await startOrchestrator(setup, [], swiftCredentials);
  const script = "head -c 20000000 /dev/urandom >big; sha256sum big; until [ -e go ]; do sleep 0.1; done";
  const id = await submit(orchestrator, { script, artifacts: [{ paths: ["big"] }] });
  const big = await until(
    "the file",
    () => filesBelow(setup.dataDir).find(({ path }) => path.endsWith("/big")) ?? null,
  );
  await bucket.kill();
  writeFileSync(join(dirname(big.path), "go"), "");
  const staging = join(setup.dataDir, "files", "staging");
  await until("the whole file on the host", () =>
    filesBelow(staging).some(({ bytes }) => bytes === 20_000_000),
  );
  await bucket.restart();
  const job = await untilEnd(orchestrator, id);
  assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${orchestrator.log()}`);
  const [artifact] = await artifacts(orchestrator, id);
  assert.match((await readLog(orchestrator, id)).toString(), new RegExp(`^${artifact?.sha256}  big`));
  await artifacts(orchestrator, "get", id, "-o", join(setup.dataDir, "got"));
  const fetched = createHash("sha256").update(readFileSync(join(setup.dataDir, "got", "big")));
  assert.equal(fetched.digest("hex"), artifact?.sha256);
  assert.deepEqual(readdirSync(join(setup.dataDir, "files"), { recursive: true }), ["staging"]);
  assert.ok(!orchestrator.log().includes(swiftCredentials.AWS_SECRET_ACCESS_KEY));
});
