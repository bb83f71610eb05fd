import assert from "node:assert/strict";
import { join } from "node:path";
import type { CommandResult } from "../../src/host/command.ts";
import type { StandIn } from "./stand-in.ts";

/** Accepts every exit code. */
const anyExitCode = Array.from({ length: 256 }, (_, code) => code);

/** Runs a command of the stand-in; returns its result with any exit code. */
export function runIn(standIn: StandIn, command: string, ...args: string[]): Promise<CommandResult> {
  return standIn.run(command, args, { acceptExitCodes: anyExitCode });
}

/** Runs a command that must succeed; returns its stdout. */
export async function must(standIn: StandIn, command: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runIn(standIn, command, ...args);
  if (exitCode !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** Asserts that a command exits with a code and prints exactly these lines on stderr; usage after them is ignored. */
export async function refuses(
  standIn: StandIn,
  [command = "", ...args]: readonly string[],
  ...expected: readonly (string | number)[]
): Promise<void> {
  const [exitCode, ...lines] = expected;
  const result = await runIn(standIn, command, ...args);
  const text = result.stderr.split("\nusage:")[0]?.trimEnd() ?? "";
  assert.deepEqual([result.exitCode, text], [exitCode, lines.join("\n")], `${command} ${args.join(" ")}`);
}

/** The zonepath of a zone in these tests. */
export function zonepathOf(standIn: StandIn, zone: string): string {
  return join(standIn.directory, "rpool/zones", zone);
}

/** The commands that configure a zone as an operator would; `more` commands follow. */
export function zoneCommands(standIn: StandIn, zone: string, more = ""): string {
  const zonepath = zonepathOf(standIn, zone);
  return `create -F -b; set brand=bhyve; set zonepath=${zonepath}; set ip-type=exclusive; set autoboot=false; ${more}`;
}

/** Commands for a zone's attributes. */
export function attributes(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `add attr; set name="${name}"; set type=string; set value="${value}"; end; `)
    .join("");
}

/** A zone whose guest has a disk and waits for its console: it is running, and takes no processor time. */
export async function installWaitingZone(standIn: StandIn, zone: string): Promise<void> {
  await must(standIn, "zfs", "create", "-s", "-V", "1M", `rpool/${zone}`);
  const device = `add device; set match=/dev/zvol/rdsk/rpool/${zone}; end; `;
  const guest = attributes({ bootdisk: `rpool/${zone}`, ram: "64M", console: "socket,/tmp/vm.com1,wait" });
  await must(standIn, "zonecfg", "-z", zone, zoneCommands(standIn, zone, device + guest));
  await must(standIn, "zoneadm", "-z", zone, "install");
}

/** The state of a zone in `zoneadm list -cp`. */
export async function listedState(standIn: StandIn, zone: string): Promise<string | undefined> {
  const lines = (await must(standIn, "zoneadm", "list", "-cp")).split("\n").map((line) => line.split(":"));
  return lines.find((fields) => fields[1] === zone)?.[2];
}
