/**
 * Tests beyond the contract: images, foreign objects, network cards. They run on the stand-in, with guests that are not
 * machines.
 */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { randomJobId } from "../../../../test/hypervisor-contract/contract.ts";
import { testSpec, writeTestSeed } from "../../../../test/hypervisor-contract/libvirt/harness.ts";
import { zonesSettings } from "../../../../test/hypervisor-contract/zones/place.ts";
import { openStandIn, type StandIn } from "../../../../test/illumos/stand-in.ts";
import { silentLog } from "../../../core/log.ts";
import { runCommand } from "../../../host/command.ts";
import type { GuestSpec, Hypervisor, Seed, WriteSeed } from "../../hypervisor.ts";
import { normaliseMac, slotOfVnic } from "../network/slots.ts";
import { createZonesHypervisor, type ZonesHypervisorOptions } from "../zones.ts";

/** Not a multiple of a sector, as an image may be. */
const imageBytes = 3 * 1024 * 1024 + 100;

/** Returns the first bytes of a large file that is otherwise empty. */
function startOf(file: string, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const descriptor = openSync(file, "r");
  try {
    readSync(descriptor, bytes, 0, length, 0);
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

describe("zones on the stand-in", () => {
  let standIn: StandIn;
  let dataDir: string;
  let options: ZonesHypervisorOptions;
  let zones: Hypervisor;
  const made: string[] = [];
  const seeds: Seed[] = [];
  const writeSeed: WriteSeed = (path, seed) => {
    seeds.push(seed);
    return writeTestSeed(path, seed);
  };

  before(async () => {
    standIn = await openStandIn({ guests: "scripted" });
    dataDir = await mkdtemp("/tmp/sz-");
    const network = { link: "solstice_stub0", vnic: "solstice0", addresses: "10.88.0" };
    options = {
      ...{ dataDir, ownerId: randomJobId(), settings: zonesSettings("rpool/solstice", network, 2) },
      ...{ run: standIn.run, writeSeed, log: silentLog, imageRetentionSeconds: 60 },
    };
    zones = createZonesHypervisor(options);
    await zones.prepare();
  });
  after(async () => {
    for (const jobId of made) await zones.remove(jobId);
    await zones.close();
    await standIn.close();
    await rm(dataDir, { recursive: true });
  });

  /** Returns a guest's specification with an image of its own content. */
  function specOn(content: Buffer, changes: Partial<GuestSpec> = {}): GuestSpec {
    const imageDigest = createHash("sha256").update(content).digest("hex");
    const imagePath = join(dataDir, `${imageDigest.slice(0, 8)}.img`);
    writeFileSync(imagePath, content);
    const spec = testSpec({ jobId: randomJobId(), attempt: 1, behaviour: "brief", imagePath });
    made.push(spec.jobId);
    return { ...spec, imageFormat: "raw", imageDigest, ...changes };
  }
  const another = (spec: GuestSpec): GuestSpec => {
    const jobId = randomJobId();
    made.push(jobId);
    return { ...spec, jobId };
  };
  const datasets = (part: string) => standIn.datasets().filter(({ name }) => name.includes(part));
  const imageOf = ({ imageDigest }: GuestSpec) => `rpool/solstice/images/sha256-${imageDigest?.slice(0, 40)}`;
  const slotOf = (jobId: string) =>
    Number(readFileSync(join(dataDir, "guests", `job-${jobId}`, "slot"), "utf8"));
  const cardOf = (jobId: string) =>
    standIn.links().find(({ name }) => slotOfVnic(options.ownerId, name) === slotOf(jobId))?.name ?? "";
  const macOf = (jobId: string) =>
    normaliseMac(standIn.links().find(({ name }) => name === cardOf(jobId))?.mac ?? "");
  const copies = () => standIn.commands().filter(({ command }) => command === "dd").length;

  test("an image is imported once for many guests at once; each has a clone with the job's size", async () => {
    const content = randomBytes(imageBytes);
    const first = specOn(content);
    const specs = [first, another(first), another(first)];
    const copiesBefore = copies();
    await Promise.all(specs.map((spec) => zones.create(spec)));
    assert.equal(copies() - copiesBefore, 1);
    for (const { jobId } of specs) {
      const file = standIn.volumeFile(`rpool/solstice/disks/job-${jobId}`);
      assert.equal(statSync(file).size, 1024 ** 3);
      assert.ok(startOf(file, imageBytes).equals(content));
    }
    const slots = specs.map(({ jobId }) =>
      readFileSync(join(dataDir, "guests", `job-${jobId}`, "slot"), "utf8"),
    );
    assert.equal(new Set(slots).size, 3);
  });

  test("qcow2 is converted to raw during the import, without leftovers; a file without a digest is identified by its metadata", async () => {
    const content = randomBytes(1024 * 1024);
    const spec = specOn(content);
    const qcow2 = `${spec.imagePath}.qcow2`;
    await runCommand("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", spec.imagePath, qcow2]);
    const changed = { imagePath: qcow2, imageFormat: "qcow2", imageDigest: null } as const;
    await zones.create({ ...spec, ...changed });
    const file = standIn.volumeFile(`rpool/solstice/disks/job-${spec.jobId}`);
    assert.ok(startOf(file, content.length).equals(content));
    assert.deepEqual(readdirSync(join(dataDir, "zone-imports")), []);
    const copiesBefore = copies();
    await zones.create({ ...another(spec), ...changed });
    assert.equal(copies(), copiesBefore);
  });

  test("a killed import is repeated: only a snapshot marks an image as complete", async () => {
    const content = randomBytes(imageBytes);
    const spec = specOn(content);
    const fault = standIn.fault({ command: "dd" }, { kind: "die", when: "halfway" });
    await assert.rejects(zones.create(spec), { code: "hypervisor_failed" });
    fault.release();
    assert.equal(datasets(imageOf(spec)).length, 1, "an incomplete import exists, without a snapshot");
    await zones.create(spec);
    const file = standIn.volumeFile(imageOf(spec));
    assert.ok(startOf(file, imageBytes).equals(content));
  });

  test("an unused image is removed after the retention; one with a guest stays, an incomplete import is removed at once", async () => {
    const [used, idle, half] = [1, 2, 3].map(() => specOn(randomBytes(1024 * 1024)));
    assert.ok(used && idle && half);
    await zones.create(used);
    await zones.create(idle);
    await zones.remove(idle.jobId);
    const fault = standIn.fault({ command: "zfs", arguments: /^snapshot/ }, { kind: "die", when: "before" });
    await assert.rejects(zones.create(half));
    fault.release();
    for (const spec of [used, idle]) await standIn.run("zfs", ["set", "solstice:used=1", imageOf(spec)]);
    const successor = createZonesHypervisor(options);
    await successor.prepare();
    assert.equal(datasets(imageOf(idle)).length, 0);
    assert.equal(datasets(imageOf(half)).length, 0);
    assert.ok(datasets(imageOf(used)).length > 0);
    // Without a guest, but used a moment ago.
    await successor.create(idle);
    await successor.remove(idle.jobId);
    await successor.prepare();
    assert.ok(datasets(imageOf(idle)).length > 0);
    await successor.close();
  });

  test("a foreign disk and zone directory are not touched; an inherited mark does not count", async () => {
    for (const [dataset, args] of [
      ["disks", ["-V", "1048576"]],
      ["zones", []],
    ] as const) {
      const spec = specOn(randomBytes(1024));
      const name = `rpool/solstice/${dataset}/job-${spec.jobId}`;
      await standIn.run("zfs", ["create", ...args, name]);
      await assert.rejects(zones.create(spec), { code: "already_exists" }, dataset);
      assert.equal(await zones.power(spec.jobId), "absent");
      await zones.remove(spec.jobId);
      assert.equal(datasets(name).length, 1, dataset);
      await standIn.run("zfs", ["destroy", name]);
    }
  });

  test("a guest whose directory was removed is found by its disk, and removed completely", async () => {
    const spec = specOn(randomBytes(1024));
    const { jobId } = spec;
    const fault = standIn.fault({ command: "zonecfg", arguments: /create/ }, { kind: "die", when: "before" });
    await assert.rejects(zones.create(spec));
    fault.release();
    // As if the card had been removed, and the directory lost.
    await standIn.run("dladm", ["delete-vnic", cardOf(jobId)]);
    rmSync(join(dataDir, "guests", `job-${jobId}`), { recursive: true });
    const { directories } = await zones.listInventory();
    const found = directories.find((one) => one.jobId === jobId);
    assert.equal(found?.path, `rpool/solstice/disks/job-${jobId}`);
    assert.equal(await zones.power(jobId), "stopped");
    await zones.remove(jobId);
    assert.equal(datasets(jobId).length, 0);
  });

  test("a copy of a guest's zone under another name is listed as misnamed, with the command that removes it", async () => {
    const spec = specOn(randomBytes(1024));
    await zones.create(spec);
    const { stdout } = await standIn.run("zonecfg", ["-z", `job-${spec.jobId}`, "export"]);
    const text = stdout
      .trim()
      .replace(/^create -b/, "create -b")
      .replaceAll(/zonepath=.*/g, "zonepath=/rpool/copy")
      .split("\n");
    await standIn.run("zonecfg", ["-z", "copy-of-it", text.join("; ")]);
    const { misnamed, domains } = await zones.listInventory();
    assert.deepEqual(
      misnamed.map(({ name, jobId }) => [name, jobId]),
      [["copy-of-it", spec.jobId]],
    );
    assert.match(misnamed[0]?.command ?? "", /zonecfg -z copy-of-it delete -F/);
    assert.ok(domains.some(({ jobId }) => jobId === spec.jobId));
    await standIn.run("zonecfg", ["-z", "copy-of-it", "delete", "-F"]);
  });

  test("no guest is created in a nearly full pool; with free space it is", async () => {
    const spec = specOn(randomBytes(1024));
    standIn.setPoolBytes(1024 ** 3);
    await assert.rejects(zones.create(spec), {
      code: "disk_full",
      message: /are free in rpool\/solstice; a new guest needs/,
    });
    assert.equal(await zones.power(spec.jobId), "absent");
    standIn.setPoolBytes(64 * 1024 ** 3);
    await zones.create(spec);
  });

  test("a guest's card is limited to its own addresses, before power-on and at each start", async () => {
    const spec = specOn(randomBytes(1024));
    const { jobId } = spec;
    const assertClosed = async () => {
      const properties = ["-c", "-o", "property,value", "-p", "protection,allowed-ips", cardOf(jobId)];
      const { stdout } = await standIn.run("dladm", ["show-linkprop", ...properties]);
      assert.match(stdout, /^protection:mac-nospoof,ip-nospoof,dhcp-nospoof,restricted$/m);
      assert.match(stdout, new RegExp(`^allowed-ips:10\\.88\\.0\\.${slotOf(jobId) + 2}$`, "m"));
    };
    await zones.create(spec);
    await assertClosed();
    for (let start = 1; start <= 2; start += 1) {
      await zones.start(jobId);
      await assertClosed();
      // A stopping zone removes the protection of its link.
      await zones.destroy(jobId);
    }
  });

  test("a guest's seed has the addresses of its card, of the gateway and of the nameservers", async () => {
    const spec = specOn(randomBytes(1024));
    await zones.create(spec);
    assert.deepEqual(seeds.at(-1)?.network, {
      macAddress: macOf(spec.jobId),
      address: `10.88.0.${slotOf(spec.jobId) + 2}`,
      prefix: 24,
      gateway: "10.88.0.1",
      nameservers: ["192.0.2.53"],
    });
  });

  test("an unusable host is rejected, with a remedy", async () => {
    const { settings } = options;
    const refused = async (
      changes: Partial<ZonesHypervisorOptions>,
      message: RegExp,
      code = "hypervisor_failed",
    ) => {
      const other = createZonesHypervisor({ ...options, ...changes });
      await assert.rejects(other.prepare(), (error: { code: string; message: string; remedy: string }) => {
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.ok(error.remedy);
        return true;
      });
      await other.close();
    };
    await refused({ settings: { ...settings, pool: "tank/ci/solstice" } }, /tank\/ci does not exist/);
    await refused({ ownerId: "another" }, /belongs to the installation/);
    await standIn.run("zfs", ["create", "rpool/unmarked"]);
    await refused(
      { settings: { ...settings, pool: "rpool/unmarked" } },
      /was not created by an orchestrator/,
    );
    await refused({ settings: { ...settings, pool: `rpool/${"long".repeat(24)}` } }, /longer than 107 bytes/);
    await refused({ brandDirectory: "/nonexistent" }, /bhyve brand is not installed/, "host_missing_tool");
    await refused({ dataDir: "/tmp/with space" }, /cannot be passed to bhyve/);
    const onCard = { ...settings, pool: "rpool/card", link: "igb0", vnic: "other0" };
    await refused({ settings: onCard }, /igb0 is not an etherstub/, "network_missing");
  });
});
