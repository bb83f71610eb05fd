import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { promisify } from "node:util";
import { randomJobId } from "../../../../test/hypervisor-contract/contract.ts";
import {
  missingSystemLibvirt,
  openTemporaryDirectory,
  SYSTEM_URI,
  testSpec,
  tinyImage,
  writeTestSeed,
} from "../../../../test/hypervisor-contract/libvirt/harness.ts";
import { silentLog } from "../../../core/log.ts";
import { runCommand } from "../../../host/command.ts";
import type { Hypervisor } from "../../hypervisor.ts";
import { createLibvirtHypervisor } from "../libvirt.ts";
import { listTables, removeTables } from "./nft.ts";
import { tapPrefix } from "./tap-names.ts";

const skip =
  (await missingSystemLibvirt()) ||
  (spawnSync("nft", ["--version"]).status === 0 ? false : "nft is not installed");
const runnerUrl = "http://192.168.122.1:7411";

describe("guests behind a firewall", { skip }, async () => {
  const dataDir = await openTemporaryDirectory();
  const owners = [randomJobId(), randomJobId()] as const;
  const open: Hypervisor[] = [];

  async function prepared(ownerId: string): Promise<Hypervisor> {
    const settings = { egress: () => ["open"] as const, lanAccess: [], hostPorts: [] };
    const hypervisor = createLibvirtHypervisor({
      ...{ uri: SYSTEM_URI, network: "default", virtType: "qemu", dataDir, ownerId },
      ...{ writeSeed: writeTestSeed, log: silentLog, firewall: settings },
    });
    open.push(hypervisor);
    await hypervisor.prepare();
    return hypervisor;
  }

  async function newSpec() {
    return testSpec({
      jobId: randomJobId(),
      attempt: 1,
      behaviour: "obedient",
      imagePath: await tinyImage(),
    });
  }

  /** Returns how a start fails in a process whose PATH loses its `nft` after the firewall was installed. */
  async function startWithoutNft(jobId: string): Promise<{ code: string; isRemedied: boolean }> {
    const tools = join(dataDir, "tools");
    await mkdir(tools);
    for (const tool of ["nft", "bridge"]) {
      const { stdout } = await runCommand("sh", ["-c", `command -v ${tool}`]);
      await symlink(stdout.trim(), join(tools, tool));
    }
    const script = join(import.meta.dirname, "../../../../test/support/guests/start-without-nft.ts");
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [script, dataDir, owners[0], jobId, runnerUrl, join(tools, "nft")],
      { env: { PATH: tools } },
    );
    const { code, remedy } = JSON.parse(stdout);
    return { code, isRemedied: /nftables.*FIREWALL=off/.test(remedy) };
  }

  after(async () => {
    for (const hypervisor of open) await hypervisor.close();
    for (const owner of owners) await removeTables(tapPrefix(owner));
    await rm(dataDir, { recursive: true });
  });

  test("no guest is created before the firewall is installed", async () => {
    const hypervisor = await prepared(owners[0]);
    const spec = await newSpec();
    await assert.rejects(hypervisor.create(spec), {
      code: "hypervisor_failed",
      message: /firewall is not installed/,
    });
    await hypervisor.remove(spec.jobId);
  });

  test("a guest whose firewall cannot be verified is powered off again", async (context) => {
    const hypervisor = await prepared(owners[0]);
    await hypervisor.ensureFirewall(runnerUrl);
    const spec = await newSpec();
    await hypervisor.create(spec);
    context.after(() => hypervisor.remove(spec.jobId));
    assert.deepEqual(await startWithoutNft(spec.jobId), {
      code: "host_missing_tool",
      isRemedied: true,
    });
    assert.equal(await hypervisor.power(spec.jobId), "stopped");
    await hypervisor.start(spec.jobId);
    assert.equal(await hypervisor.power(spec.jobId), "running");
  });

  test("two installations on one network have separate tables, and each removes only its own", async () => {
    const [one, other] = [await prepared(owners[0]), await prepared(owners[1])];
    await one.ensureFirewall(runnerUrl);
    await other.ensureFirewall("http://192.168.122.1:7500");
    await one.removeFirewall();
    assert.equal(await listTables(tapPrefix(owners[0])), "");
    assert.match(await listTables(tapPrefix(owners[1])), /tcp dport 7500 accept/);
    await one.removeFirewall();
  });

  test("a removed rule is restored at the next verification", async () => {
    const hypervisor = await prepared(owners[0]);
    await hypervisor.ensureFirewall(runnerUrl);
    const whole = await listTables(tapPrefix(owners[0]));
    const { status } = spawnSync("nft", [
      "flush",
      "chain",
      "bridge",
      `solstice_${tapPrefix(owners[0])}`,
      "guest",
    ]);
    assert.equal(status, 0);
    assert.notEqual(await listTables(tapPrefix(owners[0])), whole);
    await hypervisor.ensureFirewall(runnerUrl);
    assert.equal(await listTables(tapPrefix(owners[0])), whole);
  });
});
