import { z } from "zod";

/** Limits of the artifacts of a request. */
export const artifactRequestLimits = {
  entries: 50,
  pathsPerEntry: 50,
  patterns: 100,
  patternChars: 500,
} as const;

/** When an artifact is kept, by the outcome of the steps. */
const artifactMoments = ["always", "success", "failure"] as const;

/**
 * A pattern of paths relative to the checkout. `*`, `?` and `[…]` are as in a shell; `**` as a whole part means any
 * directories, once in a pattern. Backslashes are refused, since their meaning here would differ from some shells.
 */
const artifactPattern = z
  .string()
  .min(1)
  .max(artifactRequestLimits.patternChars)
  .refine((pattern) => !/[\p{Cc}\\]/u.test(pattern), "must be one line without backslashes")
  .refine(
    (pattern) => !pattern.startsWith("/") && !pattern.startsWith("~"),
    "must be relative to the checkout",
  )
  .refine(
    (pattern) => partsOf(pattern).every((part) => part !== ".." && part !== ""),
    'must have no part ".." and no empty part',
  )
  .refine(
    (pattern) => partsOf(pattern).every((part) => part === "**" || !part.includes("**")),
    '"**" must be a whole part, as in dist/**',
  )
  .refine((pattern) => partsOf(pattern).filter((part) => part === "**").length <= 1, '"**" may occur once');

const artifactEntry = z.object({
  paths: z.array(artifactPattern).min(1).max(artifactRequestLimits.pathsPerEntry),
  /** True when the job fails if one of the patterns matches nothing. */
  required: z.boolean().default(true),
  when: z.enum(artifactMoments).default("always"),
});

/** The keys of one entry of `artifacts`. */
export const artifactKeys: readonly string[] = Object.keys(artifactEntry.shape);

/** The `artifacts` of a request. */
export const artifactsSchema = z
  .array(artifactEntry)
  .max(artifactRequestLimits.entries)
  .refine(
    (entries) => entries.reduce((sum, { paths }) => sum + paths.length, 0) <= artifactRequestLimits.patterns,
    `at most ${artifactRequestLimits.patterns} patterns in all`,
  )
  .default([]);

/** One pattern with its options. */
export interface PlannedArtifact {
  readonly pattern: string;
  readonly required: boolean;
  readonly when: (typeof artifactMoments)[number];
}

/** Every pattern of a request, in its order, without parts that are a dot. */
export function artifactsOf(request: {
  /** Absent in a request that an older version stored. */
  readonly artifacts?: z.output<typeof artifactsSchema>;
}): PlannedArtifact[] {
  return (request.artifacts ?? []).flatMap(({ paths, required, when }) =>
    paths.map((pattern) => ({ pattern: withoutDots(pattern), required, when })),
  );
}

/** A pattern for the checkout itself means everything in it. */
function withoutDots(pattern: string): string {
  return partsOf(pattern).includes(".")
    ? partsOf(pattern)
        .filter((part) => part !== ".")
        .join("/") || "**"
    : pattern;
}

/** A trailing slash, as in `dist/`, means the directory. */
function partsOf(pattern: string): string[] {
  return pattern.replace(/\/$/, "").split("/");
}
