import { gzipSync } from "node:zlib";
import { SolsticeError } from "../../core/errors.ts";
import type { GuestFile, Seed, SeedForm } from "../../core/job/guest.ts";
import { type RunnerAccess, runnerDirectory, runnerFiles } from "../runner-files.ts";
import { buildSeedScript } from "./seed-script.ts";

/** Packed once: packing the scripts again for each guest would be most of the work that the host has with its seed. */
const entries = new WeakMap<GuestFile, string>();

/** What a seed is made of. */
export interface SeedInput extends RunnerAccess {
  readonly jobId: string;
  readonly attempt: number;
  /** The guest's host name: letters, digits and dashes. */
  readonly hostName: string;
  /** How the image reads its seed. */
  readonly form: SeedForm;
}

const boot = `${runnerDirectory}/boot.sh`;

/**
 * The seed of one attempt, and the files that it brings into the guest. An ISO is for cloud-init, and is written for it. The
 * other forms are for illumos/metadata-agent too, which only knows scripts; cloud-init would run one at the very end of the boot,
 * so a FAT image has our #cloud-config as well, as vendor-data, which the agent does not read. Throws `usage` for a host name
 * that is none.
 */
export function buildSeed(input: SeedInput): { seed: Seed; files: readonly GuestFile[] } {
  const files = runnerFiles(input);
  const instance = instanceOf(input);
  if (input.form === "iso") {
    const metaData = `instance-id: ${instance}\nlocal-hostname: ${input.hostName}\n`;
    return { seed: { metaData, userData: cloudConfig(files, `[sh, ${boot}]`) }, files };
  }
  // metadata-agent takes no YAML here (src/provider/nocloud.rs), and cloud-init takes JSON for YAML.
  const metaData = `${JSON.stringify({ "instance-id": instance, "local-hostname": input.hostName })}\n`;
  const mark = `${runnerDirectory}/started-${instance}`;
  const userData = buildSeedScript({ files, boot, mark });
  if (input.form === "cpio") return { seed: { metaData, userData }, files };
  const vendorData = cloudConfig(files, `[sh, -c, "mkdir ${mark} && exec sh ${boot}"]`);
  return { seed: { metaData, userData, vendorData }, files };
}

/** What makes this boot a first one: cloud-init and metadata-agent do their work again whenever it is another. */
function instanceOf({ jobId, attempt, hostName }: SeedInput): string {
  for (const name of [jobId, hostName]) {
    if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/.test(name)) {
      throw new SolsticeError("usage", `${JSON.stringify(name)} cannot name a guest.`);
    }
  }
  return `${jobId}-${attempt}`;
}

/**
 * Asks cloud-init for as little as possible: each module costs time before the first step. Modules run in the order
 * of the list, in the stage that begins once the network is configured. The layout of the lines is fixed: the
 * tiny guest (images/tiny) reads it with awk.
 */
function cloudConfig(files: readonly GuestFile[], bootCommand: string): string {
  return `#cloud-config
cloud_init_modules: [growpart, resizefs, write_files, bootcmd]
cloud_config_modules: []
cloud_final_modules: []
write_files:
${files.map(writeFilesEntry).join("")}bootcmd:
  - ${bootCommand}
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
