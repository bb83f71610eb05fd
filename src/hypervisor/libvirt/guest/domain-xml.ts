import { SolsticeError } from "../../../core/errors.ts";
import type { GuestSize } from "../../../core/job/job.ts";
import { guestName } from "../../../core/job/job.ts";
import type { GuestSpec } from "../../hypervisor.ts";
import { ownershipElement } from "../ownership.ts";
import { buildXml } from "../xml.ts";
import type { GuestPaths } from "./guest-paths.ts";

/** Kind of virtualisation: by the processor (kvm), or by software emulation (qemu). */
export type VirtType = "kvm" | "qemu";

/** Complete input of a domain's XML. */
export interface DomainDescription
  extends Pick<
    GuestSpec,
    "jobId" | "attempt" | "diskBus" | "seedFormat" | "nicModel" | "firmware" | "hasShell"
  > {
  readonly ownerId: string;
  readonly size: GuestSize;
  readonly virtType: VirtType;
  readonly network: string;
  readonly paths: GuestPaths;
  /** Null: libvirt chooses an address. */
  readonly macAddress: string | null;
  /** The host's end of the card, which the firewall matches; null: libvirt chooses a name. */
  readonly tapName: string | null;
}

/**
 * Writes the domain's XML. All foreign text becomes the value of an attribute or a text node, which the builder
 * escapes; characters that XML cannot contain (control characters, broken surrogates) throw `config_invalid`.
 */
export function buildDomainXml(guest: DomainDescription): string {
  for (const text of [guest.jobId, guest.ownerId, guest.network, ...Object.values(guest.paths)]) {
    assertXmlText(text);
  }
  const { jobId, attempt, ownerId: owner, size } = guest;
  const domain = {
    "@type": guest.virtType,
    name: guestName(jobId),
    metadata: ownershipElement({ owner, jobId, attempt }),
    memory: { "@unit": "MiB", "#": size.ramMb },
    vcpu: size.cpu,
    os: operatingSystem(guest),
    features: { acpi: {}, apic: {} },
    cpu: processor(guest.virtType),
    clock: clock(guest.virtType),
    on_poweroff: "destroy",
    // A reboot ends the guest, because it would run its seed a second time with a used token.
    on_reboot: "destroy",
    on_crash: "destroy",
    devices: devices(guest),
  };
  return buildXml({ domain });
}

/** XML normalises line ends and tabs in attributes, so control characters would not be read back unchanged. */
function assertXmlText(text: string): void {
  if (text.isWellFormed() && !/[\p{Cc}\uFFFE\uFFFF]/u.test(text)) return;
  throw new SolsticeError(
    "config_invalid",
    `${JSON.stringify(text)} cannot be written into a domain's XML.`,
    {
      remedy: "Use names and paths without control characters.",
    },
  );
}

function operatingSystem({ firmware, diskBus }: DomainDescription): object {
  // q35 has no IDE controller.
  const type = { "@arch": "x86_64", "@machine": diskBus === "ide" ? "pc" : "q35", "#": "hvm" };
  if (firmware === "bios") return { type, boot: { "@dev": "hd" } };
  // Images need not be signed with one of the keys in a secure-boot firmware.
  const secureBoot = { "@enabled": "no", "@name": "secure-boot" };
  return { "@firmware": "efi", type, firmware: { feature: secureBoot }, boot: { "@dev": "hd" } };
}

function processor(virtType: VirtType): object {
  if (virtType === "qemu") return { "@mode": "maximum" };
  return { "@mode": "host-passthrough", "@check": "none", "@migratable": "off" };
}

function clock(virtType: VirtType): object {
  const noHpet = { "@name": "hpet", "@present": "no" };
  const kvmClock = { "@name": "kvmclock", "@present": "yes" };
  return { "@offset": "utc", timer: virtType === "kvm" ? [kvmClock, noHpet] : [noHpet] };
}

function devices(guest: DomainDescription): object {
  const { paths, network, nicModel, diskBus, macAddress, tapName, hasShell } = guest;
  return {
    disk: [systemDisk(paths.overlay, diskBus), seedDisk(guest)],
    controller: [
      { "@type": "usb", "@model": "none" },
      ...(diskBus === "scsi" ? [{ "@type": "scsi", "@model": "virtio-scsi" }] : []),
    ],
    interface: {
      "@type": "network",
      ...(macAddress !== null && { mac: { "@address": macAddress } }),
      source: { "@network": network },
      ...(tapName !== null && { target: { "@dev": tapName } }),
      model: { "@type": nicModel },
      // Guests must not reach each other through the bridge.
      port: { "@isolated": "yes" },
    },
    serial: [
      {
        "@type": "pty",
        log: { "@file": paths.console, "@append": "off" },
        target: { "@port": 0 },
      },
      // Separate from the console, so that the kernel does not write into a shell; not logged, because people type
      // secrets.
      ...(hasShell ? [{ "@type": "pty", target: { "@port": 1 } }] : []),
    ],
    rng: { "@model": "virtio", backend: { "@model": "random", "#": "/dev/urandom" } },
    memballoon: { "@model": "none" },
    // A kernel with a driver for this device reports its panic: the guest is then crashed instead of silent.
    panic: { "@model": "isa" },
  };
}

const targetPrefix = { virtio: "vd", sata: "sd", scsi: "sd", ide: "hd" } as const;

/** The overlay is removed with its guest, so it needs no flush (`unsafe`); freed blocks are returned to the host. */
function systemDisk(file: string, bus: GuestSpec["diskBus"]): object {
  return {
    "@type": "file",
    "@device": "disk",
    driver: {
      "@name": "qemu",
      "@type": "qcow2",
      "@cache": "unsafe",
      "@discard": "unmap",
      "@detect_zeroes": "unmap",
    },
    source: { "@file": file },
    target: { "@dev": `${targetPrefix[bus]}a`, "@bus": bus },
  };
}

/**
 * QEMU has no read-only SATA or IDE disk, only a CD-ROM; a virtio or SCSI disk can be read-only. A CD-ROM has sectors
 * of 2048 bytes, from which a FAT or a cpio archive cannot be read, so these are disks on every bus, and then the guest
 * may write to its own seed.
 */
function seedDisk({ paths, diskBus: bus, seedFormat }: DomainDescription): object {
  const canBeReadOnly = bus === "virtio" || bus === "scsi";
  const isCdRom = !canBeReadOnly && seedFormat === "iso";
  return {
    "@type": "file",
    "@device": isCdRom ? "cdrom" : "disk",
    driver: { "@name": "qemu", "@type": "raw" },
    source: { "@file": paths.seed },
    target: { "@dev": `${targetPrefix[bus]}b`, "@bus": bus },
    ...((canBeReadOnly || isCdRom) && { readonly: {} }),
  };
}
