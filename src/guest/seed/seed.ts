import { gzipSync } from "node:zlib";
import { SolsticeError } from "../../core/errors.ts";
import type { GuestFile, Seed, SeedForm } from "../../core/job/guest.ts";
import { type RunnerAccess, runnerDirectory, runnerFiles } from "../runner-files.ts";
import { buildSeedScript } from "./seed-script.ts";

/** Cache of packed files: packing the scripts again for each guest would be most of the host's work for a seed. */
const entries = new WeakMap<GuestFile, string>();

/** Input of {@link buildSeed}. */
export interface SeedInput extends RunnerAccess {
  readonly jobId: string;
  readonly attempt: number;
  /** The guest's host name: letters, digits and dashes. */
  readonly hostName: string;
  /** The image's way to read its seed. */
  readonly form: SeedForm;
}

const boot = `${runnerDirectory}/boot.sh`;

/**
 * Builds the seed of one attempt, and the files that it writes in the guest. An ISO is for cloud-init. The other forms
 * are also for illumos/metadata-agent, which only supports scripts; cloud-init would run a script at the very end of
 * the boot, so a FAT image also has the #cloud-config as vendor-data, which the agent does not read. Throws `usage` for
 * an invalid host name.
 */
export function buildSeed(input: SeedInput): { seed: Seed; files: readonly GuestFile[] } {
  const files = runnerFiles(input);
  const instance = instanceOf(input);
  if (input.form === "iso") {
    const metaData = `instance-id: ${instance}\nlocal-hostname: ${input.hostName}\n`;
    return { seed: { metaData, userData: cloudConfig(files, `[sh, ${boot}]`) }, files };
  }
  // metadata-agent does not accept YAML here (src/provider/nocloud.rs), and cloud-init accepts JSON as YAML.
  const metaData = `${JSON.stringify({ "instance-id": instance, "local-hostname": input.hostName })}\n`;
  const mark = `${runnerDirectory}/started-${instance}`;
  const userData = buildSeedScript({ files, boot, mark });
  if (input.form === "cpio") return { seed: { metaData, userData }, files };
  const vendorData = cloudConfig(files, `[sh, -c, "mkdir ${mark} && exec sh ${boot}"]`);
  return { seed: { metaData, userData, vendorData }, files };
}

/** The instance id: cloud-init and metadata-agent do their work again whenever it changes. */
function instanceOf({ jobId, attempt, hostName }: SeedInput): string {
  for (const name of [jobId, hostName]) {
    if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/.test(name)) {
      throw new SolsticeError("usage", `${JSON.stringify(name)} cannot name a guest.`);
    }
  }
  return `${jobId}-${attempt}`;
}

/**
 * Builds a #cloud-config with as few modules as possible, because each module delays the first step. Modules run in the
 * order of the list, in the stage after the network configuration. The layout of the lines is fixed: the tiny guest
 * (images/tiny) reads it with awk.
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
 * Encodes a file compressed, because cloud-init parses user-data four times and writes it once with Python code: half
 * the size saves about a second in an emulated guest.
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
