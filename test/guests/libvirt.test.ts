/**
 * Tests jobs in real guests: the tiny image, under software emulation, on the system's libvirt. Each boot is
 * expensive here, so one guest's life covers several tests.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { Job } from "../../src/gen/solstice/v1/jobs_pb.ts";
import { bytesIfPresent, filesBelow } from "../support/files-below.ts";
import { type Gate, startGate } from "../support/gate.ts";
import { gatewayAddress, noLibvirt, virsh } from "../support/guests/libvirt.ts";
import { assertGone, tinySetup } from "../support/guests/tiny-guests.ts";
import { readLog, submit, untilEnd, untilLogged } from "../support/jobs.ts";
import {
  cleanEnvironment,
  type OrchestratorProcess,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { sample } from "../support/sampling.ts";
import { until } from "../support/until.ts";

const skip = noLibvirt;

/** A file of secrets, readable by its owner only, with TOKEN in it. */
function secretsFile(context: TestContext, token: string): string {
  const directory = mkdtempSync(join(tmpdir(), "solstice-operator-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "secrets.yaml");
  const text = `secrets: { TOKEN: { value: ${token}, without_repository: true } }\n`;
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** Lines of an image map: a download that does not end while a test needs it, and one with another digest. */
async function unusableImages(context: TestContext): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === "/slow") response.writeHead(200, { "content-length": "1000000" }).write("slow");
    // With its length, as `end` alone sends it: without the length, the download may be incomplete, and is retried.
    else response.end("another content than in the map");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.close().closeAllConnections();
  });
  const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const digest = "0".repeat(64);
  return `  slow: { source: "${source}/slow", nocloud: true }\n  bad: { source: "${source}/bad", sha256: "${digest}" }\n`;
}

const cache = [{ key: "tools-1", paths: ["tools"] }];
const artifacts = [{ paths: ["dist/**"] }];
/** Fails with 9 when an earlier job left a marker, in the file system or on the disk itself; then leaves both. */
const freshOnly = `
test -e /tmp/marker && exit 9; touch /tmp/marker
[ "$(dd if=/dev/vda bs=512 skip=2000000 count=1 2>/dev/null | head -c 6)" != marker ] || exit 9
printf marker | dd of=/dev/vda bs=512 seek=2000000 2>/dev/null; sync
`;
// Random bytes contain zeros, which busybox's wget cannot send.
const build = `
[ -e tools/bin ] || { mkdir tools; head -c 300000 /dev/urandom >tools/bin; chmod 751 tools/bin; ln -s bin tools/link; }
mkdir dist; cp tools/bin 'dist/the tool'; : >dist/empty
sha256sum <tools/bin; ls -l tools/link tools/bin
`;

/** The most demanding job: it saves a cache, keeps artifacts, has a secret, and runs until the gate opens. */
function submitWhole(orchestrator: OrchestratorProcess, gate: Gate): Promise<string> {
  const script = `uname -s
${freshOnly}${build}
echo "console $TOKEN." >/dev/console; echo "whole $TOKEN."
${gate.waitFor("go")}`;
  return submit(orchestrator, { script, cache, artifacts, secrets: ["TOKEN"] });
}

/** A bad end of a guest, and the expected verdict on its job. */
interface BadEnd {
  readonly name: string;
  readonly script: string;
  /** The job's time limit: long enough for all earlier steps; default 300. */
  readonly timeoutSeconds?: number;
  readonly check: (job: Job) => void;
}

const badEnds: readonly BadEnd[] = [
  {
    name: "power-off",
    script: "echo going; poweroff -f; sleep 60",
    check: (job) => assert.equal(job.verdict?.reason, "guest_stopped", job.verdict?.message),
  },
  {
    name: "killed runner",
    script: "kill -9 -1; sleep 60",
    check: (job) => assert.match(job.verdict?.reason ?? "", /^(runner_lost|runner_silent|guest_stopped)$/),
  },
  {
    name: "silence",
    script: "ip link set eth0 down; sleep 600",
    check: (job) => assert.equal(job.verdict?.reason, "runner_silent", job.verdict?.message),
  },
  {
    name: "endless",
    script: "while :; do sleep 1; done",
    timeoutSeconds: 45,
    check: (job) => assert.equal(job.verdict?.reason, "job_timeout", job.verdict?.message),
  },
];

/**
 * Runs in the guest after the first one: the guest must be fresh, restores the first one's cache, and ends badly once
 * the gate opens.
 */
function submitAgain(orchestrator: OrchestratorProcess, gate: Gate, end: BadEnd): Promise<string> {
  const script = `${freshOnly}${build}\n${gate.waitFor("end")}; ${end.script}`;
  return submit(orchestrator, { script, cache, timeout_seconds: end.timeoutSeconds ?? 300 });
}

/** Runs a command that calls the orchestrator, and returns the document that the command prints. */
async function callCli({ apiUrl }: OrchestratorProcess, ...args: string[]) {
  const env = { ...cleanEnvironment(), SOLSTICE_API_URL: apiUrl };
  return JSON.parse((await promisify(execFile)(solstice, [...args, "--json"], { env })).stdout);
}

test("jobs in fresh guests: success, a crash, and power-off, a killed runner, silence or no end", {
  skip,
}, async (context) => {
  const token = `tok-${randomBytes(12).toString("hex")}`;
  const gate = await startGate(context, await gatewayAddress());
  // Two attempts would only double the boots; the noop tests cover the second attempt.
  const flags = ["--max-attempts", "1", "--max-concurrency", "3", "--silence-timeout", "20s"];
  const setup = await tinySetup(
    context,
    [
      ...flags,
      ...["--image-timeout", "8s", "--guest-host-ports", String(gate.port)],
      ...["--secrets-file", secretsFile(context, token)],
    ],
    await unusableImages(context),
  );
  const orchestrator = await startOrchestrator(setup);
  const waiting = await submit(orchestrator, { runs_on: "slow", script: "true" });
  const whole = await submitWhole(orchestrator, gate);
  const crash = await submit(orchestrator, { script: "echo c >/proc/sysrq-trigger; sleep 60" });
  await context.test(
    "a job waits for its image, with the reason; a job for a bad image is refused",
    async () => {
      const why = await orchestrator.api.explain({ jobId: waiting });
      assert.equal(why.constraint, "image_not_ready");
      assert.match(why.message, /slow/);
      await until("the bad image has failed", async () => {
        const { labels } = await orchestrator.api.capacity({});
        return labels.some((label) => label.label === "bad" && label.imageState === "failed");
      });
      const refused = submit(orchestrator, { runs_on: "bad", script: "true" });
      await assert.rejects(refused, /bad.*sha256|bad.*checksum/is);
    },
  );
  await context.test("a console is followed while its guest runs, and secrets in it are masked", async () => {
    await untilOnConsole(orchestrator, whole, `console ${"*".repeat(28)}.`);
  });
  await context.test("a guest gets its secret, and neither its seed nor its domain has it", async () => {
    await untilLogged(orchestrator, whole, "whole ");
    const xml = await virsh("dumpxml", `job-${whole}`);
    assert.match(xml, /<domain/);
    assert.ok(!xml.includes(token), "the domain's XML");
    assertNotInFiles(setup.dataDir, token);
    assert.ok(!orchestrator.log().includes(token), "the daemon's log");
  });
  gate.open("go");
  const first = await untilEnd(orchestrator, whole);
  const firstLog = (await readLog(orchestrator, whole)).toString();
  await context.test("success", () => {
    assert.equal(first.state, "succeeded", `${first.verdict?.message}\n${firstLog}`);
    assert.equal(first.log?.completeness, "complete");
    assert.match(firstLog, /^cache .*\nLinux\n/);
    assert.match(firstLog, /whole \*{28}\./);
    assert.deepEqual(usesOf(first), ["restore miss", "save saved"]);
  });
  const [end = assert.fail()] = sample("ends of guests", badEnds, 1);
  const again = await submitAgain(orchestrator, gate, end);
  await context.test("in guests: artifacts are fetched whole", async () => {
    const target = join(setup.dataDir, "fetched");
    const fetched = await callCli(orchestrator, "artifacts", "get", whole, "-o", target);
    const names = fetched.artifacts.map(({ name }: { name: string }) => name).sort();
    assert.deepEqual(names, ["dist/empty", "dist/the tool"]);
    const bytes = readFileSync(join(target, "dist/the tool"));
    assert.equal(createHash("sha256").update(bytes).digest("hex"), sha256In(firstLog));
    assert.equal(statSync(join(target, "dist/empty")).size, 0);
  });
  // The output of the build's last command: a guest that was not fresh would have ended with 9 before.
  await untilLogged(orchestrator, again, "tools/link -> bin");
  gate.open("end");
  const second = await untilEnd(orchestrator, again);
  const secondLog = (await readLog(orchestrator, again)).toString();
  await context.test(`a guest is fresh again, and ends badly: ${end.name}`, () => end.check(second));
  await context.test("another job restores what one job saved in the cache, byte for byte", async () => {
    assert.equal(usesOf(second)[0], "restore hit");
    assert.equal(sha256In(secondLog), sha256In(firstLog));
    assert.match(secondLog, /-rwxr-x--x .*tools\/bin/);
    assert.match(secondLog, /tools\/link -> bin/);
    const { entries } = await callCli(orchestrator, "cache", "list");
    const uses = entries.map((entry: { key: string; uses: number }) => [entry.key, entry.uses]);
    assert.deepEqual(uses, [["tools-1", 1]]);
    await callCli(orchestrator, "cache", "delete", entries[0].id);
    assert.deepEqual((await callCli(orchestrator, "cache", "list")).entries, []);
  });
  const crashed = await untilEnd(orchestrator, crash);
  await context.test("the verdict names a crash, read from the console", async () => {
    assert.equal(crashed.verdict?.reason, "guest_crashed", crashed.verdict?.message);
    assert.match(crashed.verdict?.message ?? "", /^The guest's kernel panicked: sysrq triggered crash\./);
    assert.equal(crashed.log?.completeness, "cut_short");
    const console = (await readLog(orchestrator, crash, { stream: "console" })).toString();
    assert.match(console, /Kernel panic - not syncing: sysrq triggered crash/);
  });
  await context.test("a job whose image does not arrive in time is not lost", async () => {
    const job = await untilEnd(orchestrator, waiting);
    assert.equal(job.state, "infra_error");
    assert.equal(job.verdict?.reason, "image_unavailable");
    assert.match(job.verdict?.message ?? "", /did not become ready within 8 s/);
  });
  await assertGone(setup, whole, again, crash);
});

/** Follows the console of a running job until it contains `text`. */
async function untilOnConsole({ api }: OrchestratorProcess, jobId: string, text: string): Promise<void> {
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, AbortSignal.timeout(300_000)]);
  let seen = "";
  for await (const { data } of api.logs({ jobId, stream: "console", follow: true }, { signal })) {
    seen += Buffer.from(data).toString();
    if (!seen.includes(text)) continue;
    end.abort();
    assert.equal((await api.get({ jobId })).job?.state, "running");
    return;
  }
  assert.fail(`the console never had ${text}: ${seen.slice(-2000)}`);
}

/** The overlay is the guest's own disk, and the guest writes the console file; the release removes both. */
function assertNotInFiles(directory: string, token: string): void {
  const paths = filesBelow(directory).map(({ path }) => path);
  assert.ok(
    paths.some((path) => /seed/.test(path)),
    paths.join(" "),
  );
  for (const path of paths.filter((each) => !/overlay|disk\.qcow2|console/.test(each)))
    assert.ok(!bytesIfPresent(path).includes(token), path);
}

function usesOf(job: Job): string[] {
  return job.cache.map(({ action, outcome }) => `${action} ${outcome}`);
}

function sha256In(text: string): string {
  return /[0-9a-f]{64}/.exec(text)?.[0] ?? assert.fail(text);
}

/** An image without an operating system: its guest runs, but boots nothing. */
function emptyImage(context: TestContext): string {
  const directory = mkdtempSync("/var/tmp/solstice-empty-");
  chmodSync(directory, 0o711);
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "empty.img");
  writeFileSync(path, Buffer.alloc(1024 * 1024));
  return path;
}

test("a guest that never calls ends at the boot deadline, is retried, and shows its console", {
  skip,
}, async (context) => {
  const size = "defaults: { cpu: 1, ram_mb: 64, disk_gb: 1 }";
  const image = `  empty: { local_path: ${emptyImage(context)}, nocloud: true, format: raw, ${size} }\n`;
  const setup = await tinySetup(context, ["--boot-timeout", "2s"], image);
  const orchestrator = await startOrchestrator(setup);
  const id = await submit(orchestrator, { runs_on: "empty", script: "true" });
  const job = await untilEnd(orchestrator, id);
  assert.equal(job.state, "infra_error");
  assert.equal(job.verdict?.reason, "boot_timeout");
  assert.equal(job.attempt, 2);
  assert.equal(job.transitions.filter(({ to }) => to === "booting").length, 2);
  await assertGone(setup, id);
});
