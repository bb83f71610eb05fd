import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PassThrough } from "node:stream";
import { type TestContext, test } from "node:test";
import { stripVTControlCharacters } from "node:util";

import { makeSetup, startOrchestrator } from "../../../test/support/orchestrator.ts";
import { until } from "../../../test/support/until.ts";
import { acquireProcessLock } from "../../host/process-lock.ts";
import { noteLastRun } from "../../orchestrator/last-run.ts";
import type { CliContext, Output } from "../context.ts";
import { createProgram } from "../program.ts";

const imageMap = `
default_label: any
images: { any: { local_path: /nonexistent/any.img, nocloud: true } }
`;

/** The data directory of an orchestrator that has run with noop guests, which are directories. */
function usedDirectory(t: TestContext): string {
  const dataDir = mkdtempSync(join(tmpdir(), "solstice-leaks-"));
  t.after(() => rmSync(dataDir, { recursive: true }));
  writeFileSync(join(dataDir, "host-id"), "this-host-1234abcd\n");
  mkdirSync(join(dataDir, "guests"));
  return dataDir;
}

/** The settings that the last orchestrator recorded: its guests are processes. */
const settings = [{ flag: "noop-runner", value: "process", from: "NOOP_RUNNER", isDefault: false }];
const place = { backend: "noop", runnerPort: 1, runnerUrl: "http://127.0.0.1:1" } as const;

/** Runs `solstice doctor` on a terminal of the given width, or into a pipe. */
async function doctor(
  dataDir: string,
  args: readonly string[],
  { columns, env }: { columns?: number; env?: CliContext["env"] } = {},
): Promise<{ exitCode: number; text: string }> {
  const stdout: Output = new PassThrough();
  if (columns !== undefined) Object.assign(stdout, { isTTY: true, columns });
  let exitCode = 0;
  const context: CliContext = {
    ...{ stdout, stderr: process.stderr, stdin: process.stdin, now: Date.now },
    env: { HYPERVISOR: "noop", NOOP_RUNNER: "process", NO_COLOR: "1", ...env },
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  const words = ["doctor", "--data-dir", dataDir, ...args];
  await (await createProgram(context, words)).parseAsync(words, { from: "user" });
  return { exitCode, text: String((stdout as PassThrough).read()) };
}

test("without an orchestrator: a table of leaks, repaired on request, and no orchestrator is started", async (t) => {
  const dataDir = usedDirectory(t);
  const stray = join(dataDir, "guests", "job-stray");
  mkdirSync(stray);
  const shown = await doctor(dataDir, ["--leaks"]);
  assert.equal(shown.exitCode, 1);
  assert.match(
    shown.text,
    /^KIND +NAME +JOB +CAUSE +REMEDY\nfiles_without_guest +\S+job-stray +stray +These files belong/,
  );
  assert.match(
    shown.text,
    /remove\n\nCompared \(backend noop\): store, .*, temporary, blobs\. 1 differences: 1 left\.\n$/,
  );
  assert.ok(existsSync(stray));

  const narrow = await doctor(dataDir, ["--leaks"], { columns: 110 });
  assert.match(narrow.text, /stray.*\n.*\n.*remove/s, "a narrow terminal wraps the table");
  const lines = stripVTControlCharacters(narrow.text).split("\n");
  for (const line of lines.slice(0, -2)) assert.ok(line.length <= 110, line);

  const repaired = await doctor(dataDir, ["--leaks", "--fix"]);
  assert.equal(repaired.exitCode, 0);
  assert.match(repaired.text, /remove: done\n\n.* 1 differences: 1 repaired, 0 left\.\n$/);
  assert.ok(!existsSync(stray));
  assert.match((await doctor(dataDir, ["--leaks"])).text, /No differences\.\n$/);
  assert.ok(!existsSync(join(dataDir, "orchestrator.json")));
});

test("a data directory whose orchestrator used PostgreSQL is not compared with an empty SQLite", async (t) => {
  const dataDir = usedDirectory(t);
  noteLastRun({ dataDir, databaseUrl: "postgres://h/solstice", settings }, place);
  const stray = join(dataDir, "guests", "job-stray");
  mkdirSync(stray);
  await assert.rejects(
    doctor(dataDir, ["--leaks", "--fix"]),
    /in PostgreSQL, but this command would use SQLite/,
  );
  assert.ok(existsSync(stray));
  noteLastRun({ dataDir, databaseUrl: null, settings }, place);
  assert.equal((await doctor(dataDir, ["--leaks", "--fix"])).exitCode, 0);
});

test("without an orchestrator the backend and mode of the last one are used, and other values are refused", async (t) => {
  const dataDir = usedDirectory(t);
  noteLastRun({ dataDir, databaseUrl: null, settings }, place);
  const stray = join(dataDir, "guests", "job-stray");
  mkdirSync(stray);
  // Only the noop backend, whose guests are directories, finds the leak; libvirt may not be installed.
  for (const HYPERVISOR of ["", "auto"]) {
    const found = await doctor(dataDir, ["--leaks", "--json"], { env: { HYPERVISOR, NOOP_RUNNER: "" } });
    const { backend, leaks } = JSON.parse(found.text);
    assert.deepEqual(
      [backend, leaks.map(({ kind }: { kind: string }) => kind)],
      ["noop", ["files_without_guest"]],
    );
  }
  for (const env of [{ HYPERVISOR: "libvirt" }, { NOOP_RUNNER: "delay" }]) {
    const [[name, value] = []] = Object.entries(env);
    const refused = doctor(dataDir, ["--leaks", "--fix"], { env });
    await assert.rejects(refused, {
      code: "config_invalid",
      message: new RegExp(`^${name} is ${value} here`),
    });
  }
  assert.ok(existsSync(stray));
});

test("bytes without a record are reported and repaired, without an orchestrator and by a running one", async (t) => {
  const dataDir = usedDirectory(t);
  const stray = join(
    dataDir,
    "files",
    "blobs",
    "artifacts",
    "this-host-1234abcd",
    "gone",
    "1",
    "a".repeat(32),
  );
  const foreign = join(dataDir, "files", "blobs", "artifacts", "other-host", "gone", "1", "a".repeat(32));
  const plant = () => {
    for (const path of [stray, foreign]) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, "x");
    }
  };
  const reportAndRepair = async () => {
    plant();
    const shown = await doctor(dataDir, ["--leaks"]);
    assert.equal(shown.exitCode, 1);
    assert.match(shown.text, /\nartifact_without_record +artifacts\S+ +gone .* remove\n/);
    assert.match(shown.text, / 1 differences: 1 left\.\n$/);
    assert.ok(existsSync(stray));
    const repaired = await doctor(dataDir, ["--leaks", "--fix"]);
    assert.equal(repaired.exitCode, 0);
    assert.match(repaired.text, / 1 differences: 1 repaired, 0 left\.\n$/);
    assert.deepEqual([existsSync(stray), existsSync(foreign)], [false, true]);
  };
  await reportAndRepair();
  // An orchestrator also sweeps at its start. The test adds a leak after that sweep, so that only the command can find it.
  plant();
  const flags = ["--hypervisor", "noop", "--runner-listen", "127.0.0.1:0", "--data-dir", dataDir];
  const { children, imageMapPath } = makeSetup(t, imageMap, []);
  const orchestrator = await startOrchestrator({ dataDir, imageMapPath, children, flags });
  await until("the sweep of the start", () =>
    orchestrator.log().includes("removed artifacts of removed jobs"),
  );
  await reportAndRepair();
});

test("when the blobs cannot be opened, the rest is compared, and the problem is reported", async (t) => {
  const dataDir = usedDirectory(t);
  writeFileSync(join(dataDir, "files"), "not a directory");
  const { exitCode, text } = await doctor(dataDir, ["--leaks"]);
  assert.equal(exitCode, 1);
  assert.match(
    text,
    /^Not compared completely: blobs: .*\nCompared \(backend noop\): store, .*, temporary\. No differences\.\n$/,
  );
  const { unread } = JSON.parse((await doctor(dataDir, ["--leaks", "--json"])).text);
  assert.equal(unread[0].inventory, "blobs");
});

test("a directory that no orchestrator used, or whose orchestrator is starting, has its own error", async (t) => {
  const dataDir = usedDirectory(t);
  const lock = acquireProcessLock(join(dataDir, "orchestrator.lock"), "an orchestrator");
  await assert.rejects(doctor(dataDir, ["--leaks"]), {
    code: "unavailable",
    message: /starting or stopping/,
  });
  lock.release();
  const empty = mkdtempSync(join(tmpdir(), "solstice-leaks-"));
  t.after(() => rmSync(empty, { recursive: true }));
  await assert.rejects(doctor(empty, ["--leaks"]), {
    code: "not_found",
    message: /No orchestrator has run/,
  });
  await assert.rejects(doctor(dataDir, ["--fix"]), { code: "usage" });
});

test("the database of a newer version is refused, and not changed", async (t) => {
  const dataDir = usedDirectory(t);
  await doctor(dataDir, ["--leaks"]);
  const path = join(dataDir, "state", "solstice.db");
  const database = new DatabaseSync(path);
  database.exec("insert into schema_migrations (name) values ('9999_future')");
  database.close();
  await assert.rejects(doctor(dataDir, ["--leaks", "--fix"]), {
    code: "store_failed",
    message: /newer schema/,
  });
});
