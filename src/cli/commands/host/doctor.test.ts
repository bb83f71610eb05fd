import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { type TestContext, test } from "node:test";
import { acquireProcessLock } from "../../../host/process-lock.ts";
import type { ImageRow } from "../../../images/index.ts";
import { imageDefinition, imageMapOf } from "../../../images/testing/fixtures.ts";
import type { CliContext } from "../../context.ts";
import { type CheckResult, runCheck } from "../../doctor/check.ts";
import { traversableCheck } from "../../doctor/disk-checks.ts";
import { imageChecks, judgeImage } from "../../doctor/image-checks.ts";
import { libvirtChecks } from "../../doctor/libvirt-checks.ts";
import { portChecks } from "../../doctor/port-checks.ts";
import { checkNode } from "../../doctor/tool-checks.ts";
import { createProgram } from "../../program.ts";

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "solstice-doctor-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

interface Answer {
  readonly exitCode: number;
  readonly document: { ok: boolean; checks: CheckResult[] };
}

/** Runs `solstice doctor --json` with its own environment. */
async function runDoctor(args: readonly string[]): Promise<Answer> {
  const stdout = new PassThrough();
  let exitCode = 0;
  const context: CliContext = {
    ...{ stdout, stderr: process.stderr, stdin: process.stdin, env: {}, now: Date.now },
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  const words = ["doctor", "--json", ...args];
  await (await createProgram(context, words)).parseAsync(words, { from: "user" });
  return { exitCode, document: JSON.parse(String(stdout.read())) };
}

test("a wrong image map fails with its place, and checks that do not need it still run", async (t) => {
  const folder = temporaryFolder(t);
  const map = join(folder, "map.yaml");
  writeFileSync(map, "default_label: nothing\nimagess: {}\n");
  const { exitCode, document } = await runDoctor(["--config", map, "--data-dir", folder]);
  assert.equal(exitCode, 1);
  assert.equal(document.ok, false);
  const [configuration, node] = document.checks;
  assert.equal(configuration?.status, "fail");
  assert.match(configuration?.detail ?? "", /map\.yaml:2:1/);
  assert.deepEqual([node?.name, node?.status], ["Node.js", "ok"]);
});

test("all checks run, although libvirt does not answer", async (t) => {
  const folder = temporaryFolder(t);
  const socket = join(folder, "nobody");
  const args = ["--data-dir", folder, "--libvirt-uri", `qemu+unix:///system?socket=${socket}`];
  const { exitCode, document } = await runDoctor([...args, "--api-listen", "127.0.0.1:0"]);
  assert.equal(exitCode, 1);
  const found = new Map(document.checks.map((check) => [check.name, check]));
  for (const name of ["libvirt", "libvirt define", "network"]) {
    assert.equal(found.get(name)?.status, "fail", name);
    assert.match(found.get(name)?.remedy ?? "", /^apt-get install -y libvirt-daemon-system/);
  }
  assert.ok(found.has("KVM"));
  assert.equal(found.get("image debian-12")?.status, "warn");
  assert.match(found.get("image debian-12")?.remedy ?? "", /solstice images pull debian-12/);
});

test("a host without guests needs neither libvirt nor images", async (t) => {
  const folder = temporaryFolder(t);
  const args = ["--data-dir", folder, "--hypervisor", "noop", "--api-listen", "127.0.0.1:0"];
  const { document } = await runDoctor([...args, "--runner-listen", "127.0.0.1:0"]);
  const names = document.checks.map(({ name }) => name);
  assert.deepEqual(names, [
    "configuration",
    "Node.js",
    "disk space",
    "API port",
    "runner port",
    "takes jobs",
  ]);
});

async function check(checks: ReturnType<typeof portChecks>, name: string): Promise<CheckResult> {
  const found = checks.find((candidate) => candidate.name === name);
  assert.ok(found, name);
  return await runCheck(found);
}

test("a port is free, in use by another process, or in use by our own orchestrator", async (t) => {
  const folder = temporaryFolder(t);
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address && typeof address === "object");
  const lockPath = join(folder, "orchestrator.lock");
  const taken = { host: "127.0.0.1", port: address.port };
  const checks = portChecks({ apiListen: taken, runnerListen: { host: "127.0.0.1", port: 0 }, lockPath });
  const foreign = await check(checks, "API port");
  assert.equal(foreign.status, "fail");
  assert.match(foreign.remedy ?? "", new RegExp(`ss -ltnp 'sport = :${address.port}'`));
  assert.equal((await check(checks, "runner port")).status, "ok");
  const lock = acquireProcessLock(lockPath, "the data directory");
  t.after(() => lock.release());
  const own = await check(checks, "API port");
  assert.equal(own.status, "ok");
  assert.match(own.detail, new RegExp(`process ${process.pid}`));
  const elsewhere = portChecks({ apiListen: { host: "192.0.2.1", port: 0 }, runnerListen: null, lockPath });
  assert.match((await check(elsewhere, "API port")).detail, /EADDRNOTAVAIL/);
});

test("a folder that the guests' user cannot search is named, with the command that repairs it", async (t) => {
  const closed = join(temporaryFolder(t), "closed");
  mkdirSync(join(closed, "data"), { recursive: true, mode: 0o700 });
  // mkdtemp creates the parent folder for its owner only, so the check finds that folder first.
  const found = await runCheck(traversableCheck(join(closed, "data", "not-yet")));
  assert.equal(found.status, "fail");
  assert.match(found.remedy ?? "", /^chmod o\+x \S+solstice-doctor-\w+ /);
  assert.equal((await runCheck(traversableCheck("/var/lib/not-yet"))).status, "ok");
});

test("libvirt that does not answer is reported once, with a remedy", async () => {
  const target = { uri: "qemu+unix:///system?socket=/nonexistent", network: "default" };
  const found = await check(libvirtChecks(target), "libvirt");
  assert.match(found.detail, /does not answer at qemu\+unix/);
});

test("an old Node fails, this one passes", () => {
  assert.equal(checkNode("20.19.1").status, "fail");
  assert.equal(checkNode("24.0.0").status, "ok");
});

test("an image for another backend is ok, and an image that this backend cannot run fails", async (t) => {
  const folder = temporaryFolder(t);
  const localPath = join(folder, "image.img");
  const map = imageMapOf(
    imageDefinition({ localPath, name: "far", backend: "libvirt" }),
    imageDefinition({ localPath, name: "odd", diskBus: "scsi" }),
    imageDefinition({ localPath, name: "mine" }),
  );
  const results = await Promise.all(imageChecks(map, folder, "zones").map(runCheck));
  assert.deepEqual(
    results.map(({ name, status }) => [name, status]),
    [
      ["image far", "ok"],
      ["image odd", "fail"],
      ["image mine", "fail"],
    ],
  );
  assert.match(results[0]?.detail ?? "", /hosts with backend libvirt/);
  assert.match(results[1]?.detail ?? "", /disk_bus: scsi; use disk_bus: virtio or sata/);
  assert.match(results[2]?.detail ?? "", /not at .*image\.img/);
});

test("the finding of an image depends on its state on disk", () => {
  const row: ImageRow = {
    ...{ name: "debian", path: "/images/debian", format: null, virtualSizeBytes: null, fileSizeBytes: null },
    ...{ digest: null, partialBytes: 5, totalBytes: null, holderPid: 7, message: "It is a web page." },
    state: "missing",
  };
  const judge = (state: ImageRow["state"], source: string | null = "https://example.org/debian") =>
    judgeImage({ ...row, state }, source).status;
  assert.deepEqual(
    [
      judge("ready"),
      judge("missing"),
      judge("missing", null),
      judge("partial"),
      judge("preparing"),
      judge("invalid"),
    ],
    ["ok", "warn", "fail", "warn", "warn", "fail"],
  );
});
