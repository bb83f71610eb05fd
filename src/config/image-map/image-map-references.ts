import { resolve } from "node:path";
import { didYouMean } from "../../core/text/closest-name.ts";
import type { PlacedProblem } from "../yaml/yaml-source.ts";

/** The names in a file that refer to each other. Parts with a wrong shape are left out; the schema reports them. */
interface Names {
  readonly defaultLabel: string | undefined;
  readonly aliases: ReadonlyMap<string, string>;
  readonly images: ReadonlySet<string>;
  /** All aliases and images. */
  readonly labels: readonly string[];
}

/** Most names in one message. */
const namesShown = 20;

/** Most unknown names with a "did you mean" hint: each hint compares the name with every label. */
const hintsMax = 50;

/**
 * Problems between the parts of a map: an alias that has no target, is part of a circle, or has an image's name; a default
 * label without a target; an image without a file, or with two checksums; two images with one file. Accepts data of any shape.
 */
export function findReferenceProblems(data: unknown): PlacedProblem[] {
  const root = entriesOf(data);
  const images = entriesOf(root.get("images"));
  const aliases = new Map<string, string>();
  for (const [alias, target] of entriesOf(root.get("aliases"))) {
    if (typeof target === "string") aliases.set(alias, target);
  }
  const defaultLabel = root.get("default_label");
  const names: Names = {
    defaultLabel: typeof defaultLabel === "string" ? defaultLabel : undefined,
    aliases,
    images: new Set(images.keys()),
    labels: [...new Set([...aliases.keys(), ...images.keys()])],
  };
  return [...defaultLabelProblems(names), ...aliasProblems(names), ...imageProblems(images)];
}

function defaultLabelProblems(names: Names): PlacedProblem[] {
  const label = names.defaultLabel;
  if (label === undefined || names.aliases.has(label) || names.images.has(label)) return [];
  return [
    {
      path: ["default_label"],
      at: "value",
      message: unknownTarget({ what: "default_label", target: label, hasHint: true }, names),
    },
  ];
}

function aliasProblems(names: Names): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  let hints = 0;
  for (const [alias, target] of names.aliases) {
    const path = ["aliases", alias];
    if (names.images.has(alias)) {
      problems.push({
        path,
        message: `alias "${alias}" has the name of an image; rename or remove one of them`,
      });
    }
    if (!names.aliases.has(target) && !names.images.has(target)) {
      hints += 1;
      const hasHint = hints <= hintsMax;
      const message = unknownTarget({ what: `alias "${alias}"`, target, hasHint }, names);
      problems.push({ path, at: "value", message });
    }
  }
  for (const [first = "", ...others] of circles(names.aliases)) {
    const circle = listed([first, ...others, first], " → ");
    const message = `aliases lead in a circle: ${circle}; let one of them name an image`;
    problems.push({ path: ["aliases", first], message });
  }
  return problems;
}

/** Each circle of aliases once, starting with the alias that is first in the file. Visits each alias once. */
function circles(aliases: ReadonlyMap<string, string>): string[][] {
  const order = new Map([...aliases.keys()].map((alias, at) => [alias, at]));
  const walkOf = new Map<string, number>();
  const found: string[][] = [];
  for (const [start, walk] of order) {
    const passed: string[] = [];
    let next: string | undefined = start;
    for (; next !== undefined && aliases.has(next) && !walkOf.has(next); next = aliases.get(next)) {
      walkOf.set(next, walk);
      passed.push(next);
    }
    if (next === undefined || passed.length === 0 || walkOf.get(next) !== walk) continue;
    const circle = passed.slice(passed.indexOf(next));
    const first = circle.reduce((one, two) => ((order.get(one) ?? 0) < (order.get(two) ?? 0) ? one : two));
    const at = circle.indexOf(first);
    found.push([...circle.slice(at), ...circle.slice(0, at)]);
  }
  return found;
}

function unknownTarget(
  { what, target, hasHint }: { what: string; target: string; hasHint: boolean },
  names: Names,
): string {
  const hint = hasHint ? didYouMean(target, names.labels) : "";
  return `${what} leads to "${target}", which is no image or alias${hint}; valid names: ${listed(names.labels, ", ") || "none"}`;
}

function listed(names: readonly string[], separator: string): string {
  if (names.length <= namesShown) return names.join(separator);
  return `${names.slice(0, namesShown).join(separator)} and ${names.length - namesShown} more`;
}

function imageProblems(images: ReadonlyMap<string, unknown>): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  const ownerOfPath = new Map<string, string>();
  for (const [name, image] of images) {
    const keys = entriesOf(image);
    if (isMapping(image) && !keys.has("source") && !keys.has("local_path")) {
      const message = `image "${name}" has no file; give source (where to download it) or local_path (where it is)`;
      problems.push({ path: ["images", name], message });
    }
    const checksums = ["checksum", "sha256", "sha512"].filter((key) => keys.has(key));
    if (checksums.length > 1) {
      const message = `image "${name}" has ${checksums.join(" and ")}; keep one of them`;
      problems.push({ path: ["images", name, checksums[1] ?? ""], message });
    }
    const localPath = keys.get("local_path");
    if (typeof localPath !== "string") continue;
    const owner = ownerOfPath.get(resolve(localPath));
    ownerOfPath.set(resolve(localPath), owner ?? name);
    if (owner === undefined) continue;
    const message = `image "${name}" has the same local_path as image "${owner}"; give each its own, or use an alias`;
    problems.push({ path: ["images", name, "local_path"], at: "value", message });
  }
  return problems;
}

function isMapping(data: unknown): data is Record<string, unknown> {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

function entriesOf(data: unknown): Map<string, unknown> {
  return new Map(isMapping(data) ? Object.entries(data) : []);
}
