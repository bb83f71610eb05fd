import type { GuestSpec } from "../../hypervisor.ts";
import { consoleSocket, shellSocket } from "../console/sockets.ts";
import { type Ownership, ownershipAttributes } from "../ownership.ts";
import { bhyvePath, quoteValue } from "./config-text.ts";

/** What a guest's zone is made of, beside its spec. */
export interface ZoneParts {
  readonly ownership: Ownership;
  /** Absolute; the zone's own directory. */
  readonly zonePath: string;
  /** The dataset of the guest's disk. */
  readonly disk: string;
  /** The seed on the host; the zone sees it under the same path. */
  readonly seedPath: string;
  readonly vnic: string;
}

/**
 * The commands for `zonecfg -z NAME` that configure a guest's zone, with the attributes of OmniOS' bhyve brand (bhyve(7)).
 * `create -F` replaces a configuration of that name: the caller has made sure that none is there that is not ours.
 *
 * No `allowed-address`: zoneadmd refuses to boot with it where the link's `protection` is set already (vplat.c), and what we
 * set on the link ourselves protects more. Throws `hypervisor_failed` for a value that the language cannot express.
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
    // bhyve waits for us before it starts the guest: nothing of the console is lost.
    ["console", `socket,${consoleSocket},wait`],
    ...(hasShell ? ([["extra", `-l com2,socket,${shellSocket}`]] as [string, string][]) : []),
  ];
}

/**
 * A disk on virtio, though bhyve has CD-ROMs: those are on AHCI, and the kernels of Debian's and Ubuntu's cloud images have no
 * driver for that. A path that begins with a slash is taken as it is (the brand's boot.py), and `ro` is an option of bhyve.
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
