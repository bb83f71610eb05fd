import { SolsticeError } from "../../../core/errors.ts";
import type { GuestSize } from "../../../core/job/job.ts";
import { guestName } from "../../../core/job/job.ts";
import type { GuestSpec } from "../../hypervisor.ts";
import { ownershipElement } from "../ownership.ts";
import { buildXml } from "../xml.ts";
import type { GuestPaths } from "./guest-paths.ts";

/** How guests are run: by the processor's own virtualisation, or by software emulation. */
export type VirtType = "kvm" | "qemu";

/** All that a domain's XML depends on. */
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
  /** Null: libvirt chooses one. */
  readonly macAddress: string | null;
  /** The host's end of the card, by which the firewall knows the guest; null: libvirt names it. */
  readonly tapName: string | null;
}

/**
 * Writes the domain's XML. Everything foreign goes in as the value of an attribute or a text, which the builder escapes;
 * what XML cannot carry (control characters, broken surrogates) is refused with `config_invalid`.
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
    // A guest that restarts would run its seed a second time with a token that is used up, so a reboot is the end.
    on_reboot: "destroy",
    on_crash: "destroy",
    devices: devices(guest),
  };
  return buildXml({ domain });
}

/** XML normalises line ends and tabs in attributes, so no control character would come back as it was. */
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
  // Images need not be signed by one of the keys that a secure-boot firmware has enrolled.
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
      // Apart from the console, so that the kernel does not write into a shell, and not logged: people type secrets.
      ...(hasShell ? [{ "@type": "pty", target: { "@port": 1 } }] : []),
    ],
    rng: { "@model": "virtio", backend: { "@model": "random", "#": "/dev/urandom" } },
    memballoon: { "@model": "none" },
    // A kernel that has a driver for it tells of its panic; the guest is a crashed one then, and not one that is silent.
    panic: { "@model": "isa" },
  };
}

const targetPrefix = { virtio: "vd", sata: "sd", scsi: "sd", ide: "hd" } as const;

/** The overlay is thrown away with its guest, so it needs no flush (`unsafe`), and gives freed blocks back. */
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
 * QEMU has no read-only SATA or IDE disk, only a CD-ROM; a virtio or SCSI disk can be read-only. A CD-ROM has sectors of 2048
 * bytes, which a FAT or a cpio archive cannot be read from, so these are disks on every bus, though a guest may write its own then.
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
