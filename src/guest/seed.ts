import { gzipSync } from "node:zlib";
import { SolsticeError } from "../core/errors.ts";
import type { GuestFile, Seed } from "../core/guest.ts";
import { type RunnerAccess, runnerDirectory, runnerFiles } from "./runner-files.ts";

/** Packed once: packing the scripts again for each guest would be most of the work that the host has with its seed. */
const entries = new WeakMap<GuestFile, string>();

/** What a seed is made of. */
export interface SeedInput extends RunnerAccess {
  readonly jobId: string;
  readonly attempt: number;
  /** The guest's host name: letters, digits and dashes. */
  readonly hostName: string;
}

/**
 * The NoCloud seed of one attempt, and the files that its user-data writes. Throws `usage` for a host name that is none.
 */
export function buildSeed(input: SeedInput): { seed: Seed; files: readonly GuestFile[] } {
  const files = runnerFiles(input);
  return { seed: { metaData: metaData(input), userData: userData(files) }, files };
}

/** cloud-init does the work of a first boot again whenever the instance id is a new one. */
function metaData({ jobId, attempt, hostName }: SeedInput): string {
  for (const name of [jobId, hostName]) {
    if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/.test(name)) {
      throw new SolsticeError("usage", `${JSON.stringify(name)} cannot name a guest.`);
    }
  }
  return `instance-id: ${jobId}-${attempt}\nlocal-hostname: ${hostName}\n`;
}

/**
 * Asks cloud-init for as little as possible: each module costs time before the first step. Modules run in the order
 * of the list, in the stage that begins once the network is configured. The layout of the lines is fixed: the
 * tiny guest (images/tiny) reads it with awk.
 */
function userData(files: readonly GuestFile[]): string {
  return `#cloud-config
cloud_init_modules: [growpart, resizefs, write_files, bootcmd]
cloud_config_modules: []
cloud_final_modules: []
write_files:
${files.map(writeFilesEntry).join("")}bootcmd:
  - [sh, ${runnerDirectory}/boot.sh]
`;
}

/**
 * Packed, since cloud-init parses user-data four times and writes it once with Python code: the smaller half saves about
 * a second in an emulated guest.
 */
function writeFilesEntry(file: GuestFile): string {
  const known = entries.get(file);
  if (known !== undefined) return known;
  const { path, content, permissions } = file;
  const entry = `  - path: ${path}
    permissions: "${permissions}"
    encoding: gz+b64
    content: ${gzipSync(content, { level: 9 }).toString("base64")}
`;
  entries.set(file, entry);
  return entry;
}
