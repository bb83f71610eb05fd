import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openStandIn, type StandIn } from "../../../test/illumos/stand-in.ts";
import { must } from "../../../test/illumos/testing.ts";
import { resultOf, startCliProcess } from "../testing/run-cli.ts";
import type { CheckResult } from "./check.ts";
import { runCheck } from "./check.ts";
import { hostChecks } from "./zones/host-checks.ts";
import { type Illumos, thisHost } from "./zones/observe.ts";

let standIn: StandIn;
let dataDir = "";
before(async () => {
  standIn = await openStandIn();
  dataDir = mkdtempSync("/tmp/doctor-");
});
after(async () => {
  await standIn.close();
  rmSync(dataDir, { recursive: true });
});

async function doctor(env: Record<string, string> = {}): Promise<Map<string, CheckResult>> {
  const all = { ...standIn.environment, HYPERVISOR: "zones", SOLSTICE_DATA_DIR: dataDir, ...env };
  const { code, stdout, stderr } = await resultOf(startCliProcess(["doctor", "--json"], { env: all }));
  assert.equal(code, 1, stderr);
  const { checks } = JSON.parse(stdout) as { checks: CheckResult[] };
  return new Map(checks.map((check) => [check.name, check]));
}

const run = (program: string, ...args: string[]) => must(standIn, program, ...args);

test("a bare host: parts that the orchestrator will create are ok, brand and bhyve are missing, and nothing was changed", async () => {
  const before = JSON.stringify([standIn.datasets(), standIn.links()]);
  const found = await doctor();
  const status = (name: string) => found.get(name)?.status;
  for (const name of [
    "configuration",
    "zone programs",
    "dataset",
    "link",
    "host's interface",
    "host's address",
  ]) {
    assert.equal(status(name), "ok", `${name}: ${found.get(name)?.detail}`);
  }
  assert.match(found.get("dataset")?.detail ?? "", /The orchestrator creates rpool\/solstice/);
  assert.deepEqual([status("bhyve brand"), status("bhyve")], ["fail", "fail"]);
  assert.equal(found.get("bhyve brand")?.remedy, "pkg install system/zones/brand/bhyve");
  assert.equal(status("illumos"), "warn");
  assert.equal(found.has("libvirt"), false);
  assert.equal(JSON.stringify([standIn.datasets(), standIn.links()]), before);
});

test("a host in use: a dataset of another installation, a conflicting link, an address in the guests' range", async () => {
  await run("zfs", "create", "-o", "solstice:owner=other-host", "rpool/taken");
  await run("dladm", "create-etherstub", "stub7");
  await run("dladm", "create-vnic", "-l", "igb0", "ci7");
  await run("ipadm", "create-if", "ci7");
  await run("ipadm", "create-addr", "-T", "static", "-a", "10.88.0.9/24", "ci7/v4");
  const found = await doctor({ ZONES_POOL: "rpool/taken", ZONES_LINK: "stub7", ZONES_VNIC: "ci7" });
  assert.match(found.get("dataset")?.detail ?? "", /another installation.*other-host/);
  assert.match(found.get("host's interface")?.detail ?? "", /ci7 is over igb0, but guests are on stub7/);
  assert.match(found.get("host's address")?.detail ?? "", /10\.88\.0\.9 is the host's address/);
  const elsewhere = await doctor({ ZONES_POOL: "tank/ci/solstice" });
  assert.equal(elsewhere.get("dataset")?.remedy, "zfs create -p tank/ci");
  assert.match(
    elsewhere.get("host's address")?.detail ?? "",
    /^ci7 has 10\.88\.0\.9\/24, in the guests' network/,
  );
});

test("a dataset of this installation is recognized by its id", async () => {
  writeFileSync(join(dataDir, "host-id"), "omni-0001\n");
  await run("zfs", "create", "-o", "solstice:owner=omni-0001", "rpool/ours");
  const { status, detail } = (await doctor({ ZONES_POOL: "rpool/ours" })).get("dataset") ?? {};
  assert.deepEqual([status, detail], ["ok", "rpool/ours exists and belongs to this installation."]);
});

test("on Linux without the zone commands, only the platform is reported", async () => {
  const found = await doctor({ PATH: "/usr/bin:/bin" });
  assert.equal(found.get("illumos")?.status, "fail");
  assert.match(found.get("illumos")?.detail ?? "", /This is linux and not illumos/);
  assert.equal(found.has("dataset"), false);
});

test("brand and devices are found; only root in the global zone is accepted", async () => {
  const root = mkdtempSync("/tmp/doctor-root-");
  try {
    mkdirSync(join(root, "usr/lib/brand/bhyve"), { recursive: true });
    mkdirSync(join(root, "dev"));
    for (const file of ["usr/lib/brand/bhyve/config.xml", "dev/vmmctl", "dev/viona"]) {
      writeFileSync(join(root, file), "");
    }
    const host: Illumos = {
      ...thisHost({ ...process.env, ...standIn.environment }),
      root,
      platform: "sunos",
      userId: 0,
    };
    const results = await Promise.all(hostChecks(host).map(runCheck));
    assert.deepEqual(
      results.map(({ name, status }) => `${name}: ${status}`),
      ["zone programs: ok", "privileges: ok", "bhyve brand: ok", "bhyve: ok"],
    );
    rmSync(join(root, "dev/viona"));
    const user = await Promise.all(hostChecks({ ...host, userId: 1000, searchPath: root }).map(runCheck));
    assert.equal(
      user[0]?.remedy,
      "pkg install system/zones && pkg install system/file-system/zfs && pkg install SUNWcs   # and PATH=/usr/sbin:/usr/bin",
    );
    assert.match(user[1]?.detail ?? "", /Only root/);
    assert.match(user[3]?.detail ?? "", /dev\/viona not found/);
  } finally {
    rmSync(root, { recursive: true });
  }
});
