import { z } from "zod";
import { parseRange } from "../../core/image-map/cidr.ts";
import { egressRangesMax, rangeRule } from "../../core/image-map/egress.ts";
import type { ChecksumAlgorithm } from "../../core/image-map/image-map.ts";
import { backends } from "../../core/job/job.ts";
import { checksumProblem, checksumRule, digestProblem } from "./image-checksum.ts";
import { pathProblem, sourceProblem } from "./image-paths.ts";

/** Named limits of an image map. */
export const imageMapLimits = {
  // About 800 images. Parsing a map of this size takes about a second, during which calls wait: 1 MiB took 3 s and more.
  fileBytes: 256 * 1024,
  nameChars: 64,
  aliases: 1000,
  sizes: 100,
  images: 1000,
  cpu: 512,
  ramMb: { min: 32, max: 4 * 1024 * 1024 },
  diskGb: 64 * 1024,
  pathChars: 4096,
} as const;

/** The form of names of images, aliases and sizes. A name becomes a file name and part of `CAPACITY_MAP`. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

// The `error` of every rule describes valid values, to follow the word "needs".
const nameRule = `letters, digits, dots, dashes and underlines, at most ${imageMapLimits.nameChars}, the first a letter or digit`;
const name = z.string({ error: `a name: ${nameRule}` }).regex(namePattern, { error: `a name: ${nameRule}` });

function whole(min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

function word<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `one of ${words.join(", ")}` });
}

const cpu = whole(1, imageMapLimits.cpu);
const ramMb = whole(imageMapLimits.ramMb.min, imageMapLimits.ramMb.max);
const diskGb = whole(1, imageMapLimits.diskGb);

const flagRule = "true or false";

/** One line of text for which `problemOf` returns null. */
function line(error: string, problemOf: (text: string) => string | null) {
  return z
    .string({ error })
    .min(1, { error, abort: true })
    .max(imageMapLimits.pathChars, { error, abort: true })
    .regex(/^\P{Cc}*$/u, { error, abort: true })
    .check((context) => {
      const message = problemOf(context.value);
      if (message !== null) context.issues.push({ code: "custom", input: context.value, message });
    });
}

function digest(algorithm: ChecksumAlgorithm) {
  return line(digestProblem("", algorithm) ?? "", (text) => digestProblem(text, algorithm));
}

const egressRule = `open, none, or a list of at most ${egressRangesMax} entries, each ${rangeRule}`;
const egressEntry = z
  .string({ error: rangeRule })
  .refine((text) => parseRange(text) !== null, { error: rangeRule });
const egress = z.union(
  [
    z.enum(["open", "none"]),
    z.array(egressEntry).min(1, { error: egressRule }).max(egressRangesMax, { error: egressRule }),
  ],
  { error: egressRule },
);

const imageSchema = z.strictObject(
  {
    source: line("a http, https or file URL, or a path", sourceProblem).optional(),
    local_path: line("a path", pathProblem).optional(),
    decompress: word(["zstd", "xz", "gzip", "none"]).optional(),
    nocloud: z.boolean({ error: flagRule }).optional(),
    defaults: z
      .strictObject(
        { cpu: cpu.optional(), ram_mb: ramMb.optional(), disk_gb: diskGb.optional() },
        { error: "a mapping with cpu, ram_mb and disk_gb" },
      )
      .optional(),
    checksum: line(checksumRule, checksumProblem).optional(),
    sha256: digest("sha256").optional(),
    sha512: digest("sha512").optional(),
    format: word(["raw", "qcow2"]).optional(),
    backend: word(backends).optional(),
    seed: word(["iso", "vfat", "cpio"]).optional(),
    disk_bus: word(["virtio", "sata", "scsi", "ide"]).optional(),
    nic_model: word(["virtio", "e1000", "e1000e", "rtl8139"]).optional(),
    firmware: word(["bios", "efi"]).optional(),
    egress: egress.optional(),
  },
  { error: "a mapping with the image's keys, such as source and defaults" },
);

const sizeSchema = z.strictObject(
  { cpu, ram_mb: ramMb, disk_gb: diskGb.optional() },
  { error: "a mapping with cpu, ram_mb and, if wanted, disk_gb" },
);

function named<Value extends z.ZodType>(value: Value, max: number, what: string) {
  return z
    .record(name, value, { error: `a mapping from names to ${what}` })
    .refine((entries) => Object.keys(entries).length <= max, { error: `at most ${max} entries` });
}

/** The file's shape. References between names are checked separately, so that both kinds of problems are reported at once. */
export const imageMapSchema = z.strictObject(
  {
    default_label: name,
    aliases: named(name, imageMapLimits.aliases, "names").optional(),
    sizes: named(sizeSchema, imageMapLimits.sizes, "sizes").optional(),
    images: named(imageSchema, imageMapLimits.images, "images").refine(
      (images) => Object.keys(images).length > 0,
      { error: "at least one image" },
    ),
  },
  { error: "a mapping with default_label, aliases, sizes and images" },
);

/** An image map file with a valid shape. */
export type ImageMapFile = z.output<typeof imageMapSchema>;

/** One image of {@link ImageMapFile}. */
export type ImageEntry = z.output<typeof imageSchema>;

const imageKeys = Object.keys(imageSchema.shape);
const guestKeys = ["cpu", "ram_mb", "disk_gb"];

/** The valid keys at a place of the file, for a "did you mean" hint. */
export function knownKeysAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(imageMapSchema.shape);
  if (path[0] === "images" && path.length === 2) return imageKeys;
  return guestKeys;
}
