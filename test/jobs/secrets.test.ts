/**
 * Tests secrets through the real orchestrator: a job gets them, its log masks them, and no other place contains them.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { bytesIfPresent, filesBelow } from "../support/files-below.ts";
import { readLog, submit, untilEnd, untilLogged, untilState } from "../support/jobs.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);

const imageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

const token = `tok-${randomBytes(12).toString("hex")}`;
const keyLines = Array.from({ length: 4 }, () => randomBytes(24).toString("base64"));
const key = `-----BEGIN KEY-----\n${keyLines.join("\n")}\n-----END KEY-----`;
const traces = [token, token.slice(8), ...keyLines, Buffer.from(token).toString("base64").slice(0, -4)];

interface SecretsSetup extends OrchestratorSetup {
  /** The operator's directory, outside of the data directory. */
  readonly operatorDir: string;
  readonly secretsFile: string;
}

function secretsSetup(context: TestContext): SecretsSetup {
  const operatorDir = mkdtempSync(join(tmpdir(), "solstice-operator-"));
  context.after(() => rmSync(operatorDir, { recursive: true, force: true }));
  const secretsFile = join(operatorDir, "secrets.yaml");
  writeFileSync(join(operatorDir, "key"), `${key}\n`, { mode: 0o600 });
  const text = `secrets:
  TOKEN: { value: ${token}, without_repository: true }
  KEY: { file: ${join(operatorDir, "key")}, without_repository: true }
  ELSEWHERE: { value: never-to-be-seen, repositories: [example.org/acme/app], refs: [refs/heads/main] }
`;
  writeFileSync(secretsFile, text, { mode: 0o600 });
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "noop", "--noop-runner", "process", "--runner-listen", "127.0.0.1:0"],
    ...["--secrets-file", secretsFile],
  ]);
  return { ...setup, operatorDir, secretsFile };
}

/** Shorter than any call of a runner. */
const lookEveryMs = 5;

/**
 * Number of checks of each new process: it may begin as a copy of its parent. Afterwards its arguments do not change.
 */
const looksAtEach = 20;

/** Checks the argument lists of all processes until `stop` is called. */
function watchArguments(context: TestContext): () => Promise<string[]> {
  const seen = new Set<string>();
  let looks = new Map<string, number>();
  let isOver = false;
  context.after(() => {
    isOver = true;
  });
  const watching = (async () => {
    while (!isOver) {
      const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
      looks = new Map(pids.map((pid) => [pid, (looks.get(pid) ?? 0) + 1]));
      for (const pid of pids.filter((one) => (looks.get(one) ?? 0) <= looksAtEach)) {
        try {
          seen.add(readFileSync(`/proc/${pid}/cmdline`, "latin1"));
        } catch {
          // The process has ended meanwhile.
        }
      }
      await delay(lookEveryMs);
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return [...seen];
  };
}

function assertClean(what: string, text: string): void {
  for (const trace of traces) assert.ok(!text.includes(trace), `${what} has ${trace}`);
}

/** Every file of the data directory except the guests' files: a guest's disk contains what the guest writes there. */
function assertCleanFiles(directory: string): void {
  const guests = join(directory, "guests/");
  const paths = filesBelow(directory).map(({ path }) => path);
  for (const path of paths.filter((each) => !each.startsWith(guests)))
    assertClean(path, bytesIfPresent(path));
}

async function assertCleanOutside(setup: SecretsSetup, orchestrator: OrchestratorProcess, jobId: string) {
  assertCleanFiles(setup.dataDir);
  assertClean("the daemon's log", orchestrator.log());
  const options = { env: { ...cleanEnvironment(), SOLSTICE_API_URL: orchestrator.apiUrl } };
  for (const args of [
    ["jobs", "--json"],
    ["jobs", jobId, "--json"],
    ["explain", jobId, "--json"],
  ]) {
    assertClean(args.join(" "), (await run(solstice, args, options)).stdout);
  }
  const metrics = await fetch(`${orchestrator.apiUrl}/metrics`);
  assertClean("/metrics", await metrics.text());
}

test("a job gets its secrets, its log masks them, and they are nowhere else, also after kill -9", async (context) => {
  const setup = secretsSetup(context);
  const first = await startOrchestrator(setup);
  const stop = watchArguments(context);
  const script = `
echo "length \${#TOKEN}"
echo "whole $TOKEN"
printf '%s' "\${TOKEN%????????????}" ; echo half >"$SIGNS/half"
until [ -e "$SIGNS/go" ]; do sleep 0.1; done
printf '%s\\n' "\${TOKEN#????????????????}"
printf '%s' "$TOKEN" | base64
printf '%s\\n' "$KEY"
printf '%s\\n' "$KEY" | sed 's/^/  > /'
echo '{ "brace": [] }'
`;
  const jobId = await submit(first, {
    script,
    secrets: ["TOKEN", "KEY", "ELSEWHERE"],
    env: { SIGNS: setup.operatorDir },
  });
  await untilLogged(first, jobId, "whole");
  // The first half of the token stays in the buffer; the line before it has arrived as soon as the step prints.
  await until("half of the token is written", () => readdirSync(setup.operatorDir).includes("half"));
  await assertCleanOutside(setup, first, jobId);
  await first.stop("SIGKILL");
  assertCleanFiles(setup.dataDir);

  const second = await startOrchestrator(setup, ["--runner-listen", new URL(first.runnerUrl).host]);
  writeFileSync(join(setup.operatorDir, "go"), "");
  const job = await untilEnd(second, jobId);
  const argumentLists = await stop();
  assert.equal(job.state, "succeeded", second.log());
  assert.equal(job.log?.completeness, "complete");
  const log = (await readLog(second, jobId)).toString();
  const stars = (text: string) => "*".repeat(text.length);
  const encoded = Buffer.from(token).toString("base64");
  const shownKey = key.split("\n").map((line) => (/-----/.test(line) ? line : stars(line)));
  assert.equal(
    log,
    [
      "solstice: secret ELSEWHERE is withheld: the job has no repository",
      `length ${token.length}`,
      `whole ${stars(token)}`,
      stars(token),
      // The last characters of base64 also encode bytes after the token.
      `${stars(encoded).slice(0, Math.floor((token.length * 8) / 6))}${encoded.slice(Math.floor((token.length * 8) / 6))}`,
      stars(key),
      ...shownKey.map((line) => `  > ${line}`),
      '{ "brace": [] }\n',
    ].join("\n"),
  );
  assert.ok(argumentLists.some((text) => text.includes("runner.sh")));
  assertClean("argument lists", argumentLists.join("\n"));
  await assertCleanOutside(setup, second, jobId);
});

test("which jobs get which secrets", async (context) => {
  const setup = secretsSetup(context);
  const orchestrator = await startOrchestrator(setup, ["--max-concurrency", "1"]);

  await context.test(
    "a fork's job gets nothing; an unknown name is refused without a list of other names",
    async () => {
      const secrets = ["TOKEN", "NO_SUCH_NAME"];
      const fork = await submit(orchestrator, { script: 'echo "[$TOKEN]"', secrets, from_fork: true });
      await untilEnd(orchestrator, fork);
      const why = "the job belongs to a fork's pull request";
      assert.equal(
        (await readLog(orchestrator, fork)).toString(),
        `solstice: secret TOKEN is withheld: ${why}\nsolstice: secret NO_SUCH_NAME is withheld: ${why}\n[]\n`,
      );
      await assert.rejects(submit(orchestrator, { script: "true", secrets: ["TOKNE"] }), (error: Error) => {
        assert.match(error.message, /Unknown secret: TOKNE/);
        assert.doesNotMatch(error.message, /TOKEN|KEY|ELSEWHERE/);
        return true;
      });
    },
  );

  await context.test("a job whose secret is removed before its start does not run without it", async () => {
    const sign = join(setup.operatorDir, "go");
    const before = await submit(orchestrator, { script: `until [ -e ${sign} ]; do sleep 0.1; done` });
    await untilState(orchestrator, before, "running");
    const waiting = await submit(orchestrator, { script: "echo never", secrets: ["TOKEN"] });
    writeFileSync(setup.secretsFile, "secrets: {}\n");
    writeFileSync(sign, "");
    const job = await untilEnd(orchestrator, waiting);
    assert.deepEqual([job.state, job.verdict?.reason], ["infra_error", "secret_missing"]);
    assert.match(job.verdict?.message ?? "", /this host has no secret TOKEN/);
  });

  await context.test(
    "a changed file applies from the next job on; an invalid file changes nothing",
    async () => {
      const job = { script: 'echo "$NEW" | tr a-z A-Z', secrets: ["NEW"] };
      await assert.rejects(submit(orchestrator, job), /Unknown secret: NEW/);
      writeFileSync(setup.secretsFile, "secrets:\n  NEW: { value: fresh-text, without_repository: true }\n");
      const accepted = await submit(orchestrator, job);
      await untilEnd(orchestrator, accepted);
      assert.equal((await readLog(orchestrator, accepted)).toString(), "FRESH-TEXT\n");

      writeFileSync(setup.secretsFile, "secrets: [broken\n");
      const again = await submit(orchestrator, job);
      await untilEnd(orchestrator, again);
      assert.equal((await readLog(orchestrator, again)).toString(), "FRESH-TEXT\n");
      assert.match(orchestrator.log(), /secrets could not be reloaded/);

      writeFileSync(setup.secretsFile, "secrets: {}\n");
      await assert.rejects(submit(orchestrator, job), /Unknown secret: NEW/);
    },
  );
});
