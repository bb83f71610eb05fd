import { isDeepStrictEqual } from "node:util";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { Secret, SecretSet } from "../../core/secrets/secret.ts";
import { type MissingImages, missingText } from "../schedule/missing-images.ts";

/** The added, removed and changed names. */
export interface ChangedNames {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/** The changes of a reload, without values. */
export interface ReloadReport {
  readonly images: ChangedNames;
  /** The default label, aliases and sizes of the image map. */
  readonly labels: "changed" | "same";
  readonly secrets: ChangedNames;
  readonly apiToken: "set" | "changed" | "removed" | "same";
  /** Variables with new values that only a restart applies. */
  readonly needRestart: readonly string[];
  /** Jobs that wait for an image which is no longer in any map. */
  readonly missingImages: MissingImages;
}

/** The reloadable part of a configuration, with the current secrets. */
export type Reloadable = Pick<OrchestratorConfig, "imageMap" | "apiToken"> & {
  readonly secretSet: SecretSet;
};

/** Maximum number of names of one kind in the report. */
const namesShownMax = 20;

/** The consequence of a removed token: an empty `API_TOKEN` may be a mistake. */
const openApi = " (every user of this machine may call the API)";

/** Compares two configurations. Pure. */
export function compareConfigs(
  before: Reloadable,
  after: Reloadable,
  needRestart: readonly string[],
): Omit<ReloadReport, "missingImages"> {
  const { images: imagesBefore, ...labelsBefore } = before.imageMap;
  const { images: imagesAfter, ...labelsAfter } = after.imageMap;
  return {
    images: compareNames(imagesBefore, imagesAfter, isDeepStrictEqual),
    labels: isDeepStrictEqual(labelsBefore, labelsAfter) ? "same" : "changed",
    secrets: compareNames(before.secretSet, after.secretSet, isSameSecret),
    apiToken: compareTokens(before.apiToken, after.apiToken),
    needRestart,
  };
}

/**
 * True when an operator should check the report: a change needs a restart, the API lost its token, or jobs
 * lost their image.
 */
export function needsAttention({ needRestart, apiToken, missingImages }: ReloadReport): boolean {
  return needRestart.length > 0 || apiToken === "removed" || missingImages.jobs > 0;
}

/** The report in one line for people. */
export function reportText(report: ReloadReport): string {
  const { images, labels, secrets, apiToken, needRestart, missingImages } = report;
  const parts = [
    ...namesText("images", images),
    ...(labels === "same" ? [] : ["labels or sizes changed"]),
    ...namesText("secrets", secrets),
    ...(apiToken === "same" ? [] : [`the API token was ${apiToken}${apiToken === "removed" ? openApi : ""}`]),
    ...(needRestart.length === 0 ? [] : [`needs a restart: ${needRestart.join(", ")}`]),
    ...(missingImages.jobs === 0 ? [] : [missingText(missingImages)]),
  ];
  return `reloaded: ${parts.join("; ") || "no changes"}`;
}

function compareNames<Value>(
  before: ReadonlyMap<string, Value>,
  after: ReadonlyMap<string, Value>,
  isSame: (one: Value, other: Value) => boolean,
): ChangedNames {
  const changed = [...after].filter(([name, value]) => {
    const old = before.get(name);
    return old !== undefined && !isSame(old, value);
  });
  return {
    added: [...after.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed: changed.map(([name]) => name),
  };
}

/** Secrets hide their values, so the comparison unwraps them. */
function isSameSecret(one: Secret, other: Secret): boolean {
  return one.value.reveal() === other.value.reveal() && isDeepStrictEqual(one, other);
}

function compareTokens(before: string | null, after: string | null): ReloadReport["apiToken"] {
  if (before === after) return "same";
  if (before === null) return "set";
  return after === null ? "removed" : "changed";
}

function namesText(kind: string, names: ChangedNames): string[] {
  const parts = (["added", "removed", "changed"] as const)
    .filter((how) => names[how].length > 0)
    .map((how) => `${names[how].length} ${how} (${shortList(names[how])})`);
  return parts.length === 0 ? [] : [`${kind}: ${parts.join(", ")}`];
}

function shortList(names: readonly string[]): string {
  const more = names.length - namesShownMax;
  return names.slice(0, namesShownMax).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
