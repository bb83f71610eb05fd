import { isDeepStrictEqual } from "node:util";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { Secret, SecretSet } from "../../core/secrets/secret.ts";
import { type MissingImages, missingText } from "../schedule/missing-images.ts";

/** The names that came, went, or mean something else now. */
export interface ChangedNames {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/** What a reload changed, without any value. */
export interface ReloadReport {
  readonly images: ChangedNames;
  /** Of the image map: the default label, aliases and sizes. */
  readonly labels: "changed" | "same";
  readonly secrets: ChangedNames;
  readonly apiToken: "set" | "changed" | "removed" | "same";
  /** Variables that have new values, which only a restart takes on. */
  readonly needRestart: readonly string[];
  /** Jobs that wait for an image which no map has any more. */
  readonly missingImages: MissingImages;
}

/** The reloadable part of a configuration, with the secrets as they are at that moment. */
export type Reloadable = Pick<OrchestratorConfig, "imageMap" | "apiToken"> & {
  readonly secretSet: SecretSet;
};

/** The most names that the report names of one kind. */
const namesShownMax = 20;

/** What the removal of the token means: an empty `API_TOKEN` may be a mistake. */
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

/** Whether an operator should look at the report: a change waits for a restart, the API has lost its token, or jobs their image. */
export function needsAttention({ needRestart, apiToken, missingImages }: ReloadReport): boolean {
  return needRestart.length > 0 || apiToken === "removed" || missingImages.jobs > 0;
}

/** The report as one line for a person. */
export function reportText(report: ReloadReport): string {
  const { images, labels, secrets, apiToken, needRestart, missingImages } = report;
  const parts = [
    ...namesText("images", images),
    ...(labels === "same" ? [] : ["labels or sizes changed"]),
    ...namesText("secrets", secrets),
    ...(apiToken === "same" ? [] : [`the API token was ${apiToken}${apiToken === "removed" ? openApi : ""}`]),
    ...(needRestart.length === 0 ? [] : [`only a restart takes on: ${needRestart.join(", ")}`]),
    ...(missingImages.jobs === 0 ? [] : [missingText(missingImages)]),
  ];
  return `reloaded: ${parts.join("; ") || "nothing has changed"}`;
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

/** The value is hidden from any comparison that does not ask for it. */
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
