import { isSolsticeError } from "../../../core/errors.ts";
import { type RunCommand, runCommand } from "../../../host/command.ts";

const deadlineSeconds = 20;

/** Access to an illumos host; tests use another root and other commands. */
export interface Illumos {
  readonly run: RunCommand;
  /** The directory that contains `usr/lib/brand` and `dev`. */
  readonly root: string;
  readonly platform: NodeJS.Platform;
  readonly userId: number | undefined;
  /** `$PATH`. */
  readonly searchPath: string;
}

/** Access to this host. `env` is the caller's environment. */
export function thisHost(env: Readonly<Record<string, string | undefined>>): Illumos {
  const { platform } = process;
  return { run: runCommand, root: "/", platform, userId: process.getuid?.(), searchPath: env.PATH ?? "" };
}

/** The output of a command, in lines; null when the program is not installed or fails. */
export async function linesOf(
  { run }: Illumos,
  program: string,
  args: readonly string[],
): Promise<string[] | null> {
  try {
    const { stdout } = await run(program, args, { deadlineSeconds });
    return stdout.split("\n").filter((line) => line !== "");
  } catch (error) {
    if (isSolsticeError(error, "host_missing_tool") || isSolsticeError(error, "internal")) return null;
    throw error;
  }
}

/**
 * The fields of a line that dladm or ipadm printed with `-p` and more than one field: separated by colons; a backslash
 * escapes the next character (dladm(8), parsable output).
 */
export function fieldsOf(line: string): string[] {
  const fields = [""];
  for (const [, escaped, separator, plain] of line.matchAll(/\\(.)|(:)|([^\\:]+)/g)) {
    if (separator !== undefined) fields.push("");
    else fields[fields.length - 1] += escaped ?? plain ?? "";
  }
  return fields;
}

/** A datalink of the host. */
export interface Datalink {
  readonly name: string;
  /** `phys`, `vnic`, `etherstub`, `bridge`, `aggr` … */
  readonly kind: string;
  /** The link below a VNIC; empty for others. */
  readonly over: string;
}

/** The datalinks of the host, or null when dladm fails. */
export async function datalinks(host: Illumos): Promise<Datalink[] | null> {
  const lines = await linesOf(host, "dladm", ["show-link", "-p", "-o", "link,class,over"]);
  return (
    lines?.map((line) => {
      const [name = "", kind = "", over = ""] = fieldsOf(line);
      return { name, kind, over: over === "--" ? "" : over };
    }) ?? null
  );
}

/** An IPv4 address of the host. */
export interface HostAddress {
  readonly interface: string;
  readonly address: string;
  readonly prefix: number;
}

/** The IPv4 addresses of the host, or null when ipadm fails. */
export async function hostAddresses(host: Illumos): Promise<HostAddress[] | null> {
  const lines = await linesOf(host, "ipadm", ["show-addr", "-p", "-o", "addrobj,addr"]);
  return lines?.flatMap((line) => readAddress(line) ?? []) ?? null;
}

function readAddress(line: string): HostAddress | null {
  const [object = "", text = ""] = fieldsOf(line);
  const match = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(text);
  if (!match) return null;
  const [, address = "", prefix = ""] = match;
  return { interface: object.replace(/\/.*$/, ""), address, prefix: Number(prefix) };
}
