import type { GuestSpec } from "../../hypervisor.ts";
import { consoleSocket, shellSocket } from "../console/sockets.ts";
import { type Ownership, ownershipAttributes } from "../ownership.ts";
import { bhyvePath, quoteValue } from "./config-text.ts";

/** Parts of a guest's zone besides its specification. */
export interface ZoneParts {
  readonly ownership: Ownership;
  /** Absolute; the zone's own directory. */
  readonly zonePath: string;
  /** The dataset of the guest's disk. */
  readonly disk: string;
  /** The seed on the host; the zone has it under the same path. */
  readonly seedPath: string;
  readonly vnic: string;
}

/**
 * Returns the commands for `zonecfg -z NAME` that configure a guest's zone, with the attributes of OmniOS' bhyve brand
 * (bhyve(7)). `create -F` replaces a configuration of that name: the caller has made sure that it is not foreign.
 *
 * There is no `allowed-address`: zoneadmd refuses to boot with it when the link's `protection` is already set
 * (vplat.c), and our own setting of the link protects more. Throws `hypervisor_failed` for a value that the language
 * cannot express.
 */
export function buildZoneConfig(spec: GuestSpec, parts: ZoneParts): string {
  const seed = bhyvePath(parts.seedPath);
  const commands = [
    "create -F -b",
    set("brand", "bhyve"),
    set("zonepath", parts.zonePath),
    set("ip-type", "exclusive"),
    set("autoboot", "false"),
    ...resource("net", [set("physical", parts.vnic)]),
    ...resource("device", [set("match", `/dev/zvol/rdsk/${parts.disk}`)]),
    ...resource("fs", [
      set("dir", seed),
      set("special", seed),
      set("type", "lofs"),
      "add options ro",
      "add options nodevices",
    ]),
    ...attributesOf(spec, { ...parts, seed }).flatMap(([name, value]) =>
      resource("attr", [set("name", name), set("type", "string"), set("value", value)]),
    ),
  ];
  return commands.join("; ");
}

function attributesOf(spec: GuestSpec, parts: ZoneParts & { seed: string }): [string, string][] {
  const { size, diskBus, nicModel, firmware, hasShell } = spec;
  const { owner, jobId, attempt } = parts.ownership;
  return [
    [ownershipAttributes.owner, owner],
    [ownershipAttributes.job, jobId],
    [ownershipAttributes.attempt, String(attempt)],
    ["vcpus", String(size.cpu)],
    ["ram", `${size.ramMb}M`],
    ["bootrom", firmware === "efi" ? "BHYVE_RELEASE" : "BHYVE_RELEASE_CSM"],
    ["bootdisk", parts.disk],
    ["diskif", diskBus === "sata" ? "ahci" : "virtio-blk"],
    ["netif", nicModel === "e1000" ? "e1000" : "virtio-net-viona"],
    seedAttribute(spec, parts.seed),
    ["rng", "on"],
    // bhyve waits for the reader before it starts the guest: no output of the console is lost.
    ["console", `socket,${consoleSocket},wait`],
    ...(hasShell ? ([["extra", `-l com2,socket,${shellSocket}`]] as [string, string][]) : []),
  ];
}

/**
 * Returns the seed's attribute: a disk on virtio, although bhyve has CD-ROMs, because those are on AHCI, and the
 * kernels of Debian's and Ubuntu's cloud images have no driver for that. A path that begins with a slash is used
 * unchanged (the brand's boot.py), and `ro` is an option of bhyve.
 */
function seedAttribute({ diskBus, seedFormat }: GuestSpec, seed: string): [string, string] {
  return diskBus === "sata" && seedFormat === "iso" ? ["cdrom", seed] : ["disk0", `${seed},ro`];
}

function resource(kind: string, commands: readonly string[]): string[] {
  return [`add ${kind}`, ...commands, "end"];
}

function set(name: string, value: string): string {
  return `set ${name}=${quoteValue(value)}`;
}
