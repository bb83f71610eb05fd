import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Context } from "../../host/context.ts";
import { setting } from "../../host/state.ts";
import { type GuestNetwork, guestNetwork, lastAddressOf } from "../../network/guest-network.ts";
import { findDataset, volumeFile } from "../../zfs/datasets.ts";
import { unshare } from "../../zfs/volume-files.ts";
import { attribute, attributeValues, type Zone, type ZoneConfig } from "../records.ts";
import { volumeName } from "../use.ts";
import { monitorPath } from "./qmp.ts";

/** A serial port that is a unix socket. */
export interface SerialSocket {
  /** 1 or 2. */
  readonly port: number;
  readonly path: string;
  /** True: the guest starts when a client has connected. */
  readonly wait: boolean;
}

/** The file of a disk, and whether the zone may only read it. */
interface MachineDisk {
  readonly file: string;
  readonly readOnly: boolean;
}

/** The virtual machine that a zone's configuration defines. */
export interface Machine {
  readonly name: string;
  readonly cpus: number;
  readonly ramMb: number;
  readonly diskInterface: string;
  readonly disks: readonly MachineDisk[];
  readonly cdroms: readonly string[];
  /** `ahci` like bhyve; `virtio` for guests without a driver for it. */
  readonly cdromBus: string;
  readonly networkInterface: string;
  readonly networks: readonly GuestNetwork[];
  readonly sockets: readonly SerialSocket[];
  readonly monitor: string;
}

/** Reads the attributes of OmniOS' bhyve brand, with the defaults of its boot program. */
export function machineOf(context: Context, zone: Zone): Machine {
  const { config, name } = zone;
  const root = join(config.zonepath, "root");
  const disks = diskValues(config);
  const cdroms = attributeValues(config, /^cdrom\d*$/);
  const monitor = monitorPath(context, name);
  mkdirSync(dirname(monitor), { recursive: true });
  return {
    name,
    cpus: Number(/\d+/.exec(attribute(config, "vcpus") ?? "1")?.[0] ?? 1),
    ramMb: memory(attribute(config, "ram") ?? "1G"),
    diskInterface: diskInterface(attribute(config, "diskif") ?? "virtio-blk"),
    disks: disks.map((disk) => machineDisk(context, config, disk)),
    cdroms,
    cdromBus: setting(context.database, "cdromBus") ?? "ahci",
    networkInterface: attribute(config, "netif") ?? "virtio-net-viona",
    networks: config.resources.filter(({ type }) => type === "net").map((net) => guestNetwork(context, net)),
    sockets: serialSockets(zone, root),
    monitor,
  };
}

/** The first file that bhyve would not find in the zone: a disk without its device, or a disc without its mount. */
export function missingFile(context: Context, { config }: Zone): string | null {
  const devices = config.resources
    .filter(({ type }) => type === "device")
    .map((one) => String(one.properties.match));
  const mounts = config.resources
    .filter(({ type }) => type === "fs")
    .map((one) => String(one.properties.dir));
  for (const disk of diskValues(config)) {
    const volume = volumeName(disk);
    if (volume.startsWith("/")) {
      if (mounts.includes(volume)) continue;
      return volume;
    }
    const path = `/dev/zvol/rdsk/${volume}`;
    const isThere = findDataset(context, volume)?.type === "volume";
    if (!isThere || !devices.some((match) => globMatches(match, path))) return path;
  }
  return attributeValues(config, /^cdrom\d*$/).find((cdrom) => !mounts.includes(cdrom)) ?? null;
}

function diskValues(config: ZoneConfig): string[] {
  return [...attributeValues(config, /^bootdisk$/), ...attributeValues(config, /^disk\d*$/)];
}

/** True when a device's match, a shell pattern, includes a path. */
function globMatches(pattern: string, path: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]");
  return new RegExp(`^${source}$`).test(path);
}

/** Names in /usr/share/bhyve/firmware of OmniOS, with earlier ones. */
const firmwareNames = /^BHYVE(_(RELEASE|DEBUG))?(_CSM)?(-2\.[47]0)?(\.fd)?$/;

/** The zone's firmware, and whether OmniOS has it; an absolute path is not checked. */
export function firmwareOf(config: ZoneConfig): { name: string; isKnown: boolean } {
  const name = attribute(config, "bootrom") ?? "BHYVE_RELEASE_CSM";
  return { name, isKnown: name.startsWith("/") || firmwareNames.test(name) };
}

/** Like the brand's boot.py: a text that begins with a slash is a path, any other text a volume. */
function machineDisk(context: Context, config: ZoneConfig, disk: string): MachineDisk {
  const name = volumeName(disk);
  if (name.startsWith("/")) {
    const mount = config.resources.find(({ type, properties }) => type === "fs" && properties.dir === name);
    const options = [mount?.properties.options, disk.split(",").slice(1)].flat();
    return { file: name, readOnly: options.includes("ro") };
  }
  const file = volumeFile(context, name);
  unshare(file);
  return { file, readOnly: false };
}

/** The controller names that the brand's boot program accepts for a disk. */
function diskInterface(name: string): "ahci" | "virtio-blk" {
  return name === "ahci" || name === "ahci-hd" ? "ahci" : "virtio-blk";
}

function memory(text: string): number {
  const match = /^(\d+)([MGmg]?)/.exec(text);
  const amount = Number(match?.[1] ?? 256);
  return match?.[2]?.toUpperCase() === "G" ? amount * 1024 : amount;
}

/** `console=socket,PATH[,wait]`, and `-l com2,socket,PATH[,wait]` of `extra`; paths are in the zone. */
function serialSockets({ config }: Zone, root: string): SerialSocket[] {
  const found: SerialSocket[] = [];
  const add = (port: number, value: string) => {
    const [kind, path, ...options] = value.split(",");
    if (kind === "socket" && path)
      found.push({ port, path: join(root, path), wait: options.includes("wait") });
  };
  add(1, attribute(config, "console") ?? "");
  for (const extra of attributeValues(config, /^extra\d*$/)) {
    for (const match of extra.matchAll(/-l\s+com([12]),(\S+)/g)) add(Number(match[1]), match[2] ?? "");
  }
  return found;
}

/** The command line of QEMU for a machine, with emulation only, so that it runs anywhere. */
export function qemuArguments(machine: Machine): string[] {
  return [
    ...["-name", machine.name, "-nodefaults", "-no-user-config", "-display", "none"],
    ...["-machine", "pc,accel=tcg", "-smp", String(machine.cpus), "-m", String(machine.ramMb)],
    ...["-qmp", `unix:${machine.monitor},server=on,wait=off`],
    ...serialArguments(machine),
    ...diskArguments(machine),
    ...cdromArguments(machine),
    ...networkArguments(machine),
  ];
}

function serialArguments({ sockets }: Machine): string[] {
  return [1, 2].flatMap((port) => {
    const socket = sockets.find((one) => one.port === port);
    if (!socket) return ["-serial", "null"];
    const wait = socket.wait ? "on" : "off";
    return [
      "-chardev",
      `socket,id=com${port},path=${socket.path},server=on,wait=${wait}`,
      "-serial",
      `chardev:com${port}`,
    ];
  });
}

function diskArguments({ disks, diskInterface: bus }: Machine): string[] {
  const drives = disks.flatMap(({ file, readOnly }, index) => {
    const device = bus === "ahci" ? `ide-hd,bus=disks.${index}` : "virtio-blk-pci";
    // QEMU has no read-only disk on AHCI: writes to this disk are discarded.
    const fate = readOnly ? "snapshot=on" : "cache=unsafe,discard=unmap";
    return [
      ...["-drive", `if=none,id=disk${index},file=${file},format=raw,${fate}`],
      ...["-device", `${device},drive=disk${index},bootindex=${index}`],
    ];
  });
  return [...(bus === "ahci" ? ["-device", "ahci,id=disks"] : []), ...drives];
}

function cdromArguments({ cdroms, cdromBus }: Machine): string[] {
  const isAhci = cdromBus === "ahci";
  const discs = cdroms.flatMap((file, index) => [
    "-drive",
    `if=none,id=cdrom${index},file=${file},format=raw,readonly=on${isAhci ? ",media=cdrom" : ""}`,
    "-device",
    `${isAhci ? `ide-cd,bus=cdroms.${index}` : "virtio-blk-pci"},drive=cdrom${index}`,
  ]);
  return [...(isAhci && cdroms.length > 0 ? ["-device", "ahci,id=cdroms"] : []), ...discs];
}

function networkArguments({ networks, networkInterface }: Machine): string[] {
  const device = networkInterface === "e1000" ? "e1000" : "virtio-net-pci";
  return networks.flatMap(({ mac, net, host, guest }, index) => [
    ...[
      "-netdev",
      `user,id=net${index},net=${net},host=${host},dns=${lastAddressOf(net)}${guest ? `,dhcpstart=${guest}` : ""}`,
    ],
    ...["-device", `${device},netdev=net${index}${mac ? `,mac=${mac}` : ""}`],
  ]);
}
