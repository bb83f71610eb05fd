import assert from "node:assert/strict";
import { test } from "node:test";
import { testSpec } from "../../../../test/hypervisor-contract/libvirt/harness.ts";
import { buildZoneConfig } from "./zone-config.ts";
import { parseZoneExport } from "./zone-export.ts";

const parts = {
  ownership: { owner: "owner-1", jobId: "abcd", attempt: 2 },
  zonePath: "/tank/zones/job-abcd",
  disk: "tank/solstice/disks/job-abcd",
  seedPath: "/var/lib/solstice/guests/job-abcd/seed.iso",
  vnic: "sol1a2b3c0",
};
const spec = testSpec({ jobId: "abcd", attempt: 2, behaviour: "brief", imagePath: "/image" });

/** Returns the attributes of a configuration, whose commands have the form of `export`: one per line. */
function attributesOf(text: string): Record<string, string> {
  return Object.fromEntries(parseZoneExport(text.replaceAll("; ", "\n")).attributes);
}

test("a guest's zone has what OmniOS' brand reads, and our mark", () => {
  const text = buildZoneConfig(spec, parts);
  assert.match(text, /^create -F -b; set brand="bhyve"; set zonepath="\/tank\/zones\/job-abcd"; /);
  assert.match(text, /add device; set match="\/dev\/zvol\/rdsk\/tank\/solstice\/disks\/job-abcd"; end; /);
  assert.match(text, /set type="lofs"; add options ro; add options nodevices; end; /);
  assert.deepEqual(attributesOf(text), {
    "solstice-owner": "owner-1",
    "solstice-job": "abcd",
    "solstice-attempt": "2",
    vcpus: "1",
    ram: "192M",
    bootrom: "BHYVE_RELEASE_CSM",
    bootdisk: parts.disk,
    diskif: "virtio-blk",
    netif: "virtio-net-viona",
    disk0: `${parts.seedPath},ro`,
    rng: "on",
    console: "socket,/tmp/vm.com1,wait",
    extra: "-l com2,socket,/tmp/vm.com2",
  });
});

test("SATA, e1000 and UEFI are configured; without a shell there is no second line", () => {
  const other = { ...spec, diskBus: "sata", nicModel: "e1000", firmware: "efi", hasShell: false } as const;
  const { diskif, netif, bootrom, extra } = attributesOf(buildZoneConfig(other, parts));
  assert.deepEqual([diskif, netif, bootrom, extra], ["ahci", "e1000", "BHYVE_RELEASE", undefined]);
});

test("a seed is a read-only disk, and an ISO on SATA is a CD-ROM", () => {
  for (const diskBus of ["virtio", "sata"] as const) {
    for (const seedFormat of ["iso", "vfat", "cpio"] as const) {
      const { cdrom, disk0 } = attributesOf(buildZoneConfig({ ...spec, diskBus, seedFormat }, parts));
      const isCdRom = diskBus === "sata" && seedFormat === "iso";
      assert.deepEqual(
        [cdrom, disk0],
        isCdRom ? [parts.seedPath, undefined] : [undefined, `${parts.seedPath},ro`],
      );
    }
  }
});

test("a value cannot break out of its quotes", () => {
  for (const seedPath of ['/a"; delete -F; "', "/a\nend", "/a,ro", "/with space", "relative", "/a;b"]) {
    assert.throws(
      () => buildZoneConfig(spec, { ...parts, seedPath }),
      { code: "hypervisor_failed" },
      seedPath,
    );
  }
  for (const zonePath of ['/a"b', "/a\nb", "/a\u0000b", `/${"long".repeat(300)}`]) {
    assert.throws(
      () => buildZoneConfig(spec, { ...parts, zonePath }),
      { code: "hypervisor_failed" },
      zonePath,
    );
  }
  const hostile = buildZoneConfig(spec, { ...parts, zonePath: "/a; set autoboot=true; #" });
  assert.match(hostile, /set zonepath="\/a; set autoboot=true; #"; set ip-type/);
});
