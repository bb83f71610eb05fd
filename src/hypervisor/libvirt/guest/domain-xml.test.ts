import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { buildDomainXml, type DomainDescription } from "./domain-xml.ts";
import { guestPaths } from "./guest-paths.ts";

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  parseAttributeValue: false,
  parseTagValue: false,
  trimValues: false,
});

function describeGuest(changes: Partial<DomainDescription> = {}): DomainDescription {
  return {
    jobId: "abc123",
    attempt: 2,
    ownerId: "host-1",
    size: { cpu: 3, ramMb: 2048, diskGb: 10 },
    virtType: "qemu",
    diskBus: "virtio",
    seedFormat: "iso",
    nicModel: "virtio",
    firmware: "bios",
    hasShell: false,
    network: "default",
    paths: guestPaths("/var/lib/solstice/guests", "abc123"),
    macAddress: "52:54:01:02:03:04",
    tapName: "sol010203open04",
    ...changes,
  };
}

function domainOf(changes: Partial<DomainDescription> = {}) {
  const xml = buildDomainXml(describeGuest(changes));
  assert.equal(XMLValidator.validate(xml), true);
  return parser.parse(xml).domain;
}

test("a guest has its name, size, owner, disks, isolated port and logged console", () => {
  const domain = domainOf();
  assert.equal(domain.name, "job-abc123");
  assert.deepEqual(domain.memory, { "#text": "2048", "@unit": "MiB" });
  assert.equal(domain.vcpu, "3");
  assert.deepEqual(domain.metadata["solstice:guest"], {
    "@xmlns:solstice": "https://solstice-ci.dev/xmlns/guest/1",
    "@owner": "host-1",
    "@job": "abc123",
    "@attempt": "2",
  });
  const [system, seed] = domain.devices.disk;
  assert.equal(system.source["@file"], "/var/lib/solstice/guests/job-abc123/overlay.qcow2");
  assert.equal(system.driver["@type"], "qcow2");
  assert.equal(system.readonly, undefined);
  assert.equal(seed.source["@file"], "/var/lib/solstice/guests/job-abc123/seed.iso");
  assert.notEqual(seed.readonly, undefined);
  assert.deepEqual(domain.devices.interface.source, { "@network": "default" });
  assert.deepEqual(domain.devices.interface.port, { "@isolated": "yes" });
  assert.deepEqual(domain.devices.serial.log, {
    "@file": "/var/lib/solstice/guests/job-abc123/console.log",
    "@append": "off",
  });
  assert.equal(domain.devices.graphics, undefined);
  assert.deepEqual(domain.devices.panic, { "@model": "isa" });
});

test("the whole document, element by element", () => {
  const lines = expectedDocument.split("\n").map((line) => line.trim());
  assert.equal(buildDomainXml(describeGuest()), lines.join(""));
});

test("KVM guests get the host's processor, emulated ones the largest emulated processor", () => {
  assert.equal(domainOf({ virtType: "kvm" }).cpu["@mode"], "host-passthrough");
  assert.equal(domainOf({ virtType: "kvm" })["@type"], "kvm");
  assert.equal(domainOf({ virtType: "qemu" }).cpu["@mode"], "maximum");
});

test("the seed follows the bus of the disk, and an ISO is a CD-ROM where QEMU has no read-only disk", () => {
  const kinds = (["virtio", "scsi", "sata", "ide"] as const).map((diskBus) => {
    const [system, seed] = domainOf({ diskBus }).devices.disk;
    return [system.target["@dev"], seed.target["@dev"], seed.target["@bus"], seed["@device"]];
  });
  assert.deepEqual(kinds, [
    ["vda", "vdb", "virtio", "disk"],
    ["sda", "sdb", "scsi", "disk"],
    ["sda", "sdb", "sata", "cdrom"],
    ["hda", "hdb", "ide", "cdrom"],
  ]);
  for (const seedFormat of ["vfat", "cpio"] as const) {
    const disks = (["virtio", "scsi", "sata", "ide"] as const).map((diskBus) => {
      const [, seed] = domainOf({ diskBus, seedFormat }).devices.disk;
      return [seed["@device"], seed.target["@bus"], seed.readonly !== undefined];
    });
    assert.deepEqual(disks, [
      ["disk", "virtio", true],
      ["disk", "scsi", true],
      ["disk", "sata", false],
      ["disk", "ide", false],
    ]);
  }
  assert.equal(domainOf().devices.interface.target["@dev"], "sol010203open04");
  assert.equal(domainOf({ tapName: null }).devices.interface.target, undefined);
  assert.equal(domainOf({ diskBus: "ide" }).os.type["@machine"], "pc");
});

test("UEFI images start without secure boot", () => {
  const { os } = domainOf({ firmware: "efi" });
  assert.equal(os["@firmware"], "efi");
  assert.deepEqual(os.firmware.feature, { "@enabled": "no", "@name": "secure-boot" });
});

test("hostile names and paths are read back unchanged, or rejected; they never become XML", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 30 }),
    fc.string({
      unit: fc.constantFrom("<", ">", "&", "'", '"', "/", "]]>", "<!--", "\n", "\0", "a"),
      maxLength: 12,
    }),
    // Texts that an XML writer or reader may convert to another type.
    fc.constantFrom("true", "false", "0", "1e3", "0x1f", "null", "__proto__", "#text", "&lt;", " a "),
  );
  fc.assert(
    fc.property(hostile, hostile, hostile, (ownerId, network, directory) => {
      const guest = describeGuest({ ownerId, network, paths: guestPaths(`/${directory}`, "abc123") });
      let xml: string;
      try {
        xml = buildDomainXml(guest);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "config_invalid");
        assert.match(`${ownerId}${network}${directory}`, /[\p{Cc}\p{Cs}\uFFFE\uFFFF]/u);
        return;
      }
      assert.equal(XMLValidator.validate(xml), true);
      const { metadata, devices } = parser.parse(xml).domain;
      assert.equal(metadata["solstice:guest"]["@owner"], ownerId);
      assert.equal(devices.interface.source["@network"], network);
      assert.equal(devices.disk.length, 2);
      assert.equal(devices.disk[0].source["@file"], guest.paths.overlay);
    }),
    { numRuns: 200 },
  );
});

/** The document of {@link describeGuest}, one element per line. */
const expectedDocument = `<domain type="qemu">
  <name>job-abc123</name>
  <metadata>
    <solstice:guest xmlns:solstice="https://solstice-ci.dev/xmlns/guest/1" owner="host-1" job="abc123" attempt="2"/>
  </metadata>
  <memory unit="MiB">2048</memory>
  <vcpu>3</vcpu>
  <os>
    <type arch="x86_64" machine="q35">hvm</type>
    <boot dev="hd"/>
  </os>
  <features>
    <acpi/>
    <apic/>
  </features>
  <cpu mode="maximum"/>
  <clock offset="utc">
    <timer name="hpet" present="no"/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="qcow2" cache="unsafe" discard="unmap" detect_zeroes="unmap"/>
      <source file="/var/lib/solstice/guests/job-abc123/overlay.qcow2"/>
      <target dev="vda" bus="virtio"/>
    </disk>
    <disk type="file" device="disk">
      <driver name="qemu" type="raw"/>
      <source file="/var/lib/solstice/guests/job-abc123/seed.iso"/>
      <target dev="vdb" bus="virtio"/>
      <readonly/>
    </disk>
    <controller type="usb" model="none"/>
    <interface type="network">
      <mac address="52:54:01:02:03:04"/>
      <source network="default"/>
      <target dev="sol010203open04"/>
      <model type="virtio"/>
      <port isolated="yes"/>
    </interface>
    <serial type="pty">
      <log file="/var/lib/solstice/guests/job-abc123/console.log" append="off"/>
      <target port="0"/>
    </serial>
    <rng model="virtio">
      <backend model="random">/dev/urandom</backend>
    </rng>
    <memballoon model="none"/>
    <panic model="isa"/>
  </devices>
</domain>`;
