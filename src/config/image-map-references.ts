import { resolve } from "node:path";
import { didYouMean } from "../core/closest-name.ts";
import type { Place } from "./yaml-source.ts";

/** A problem at a place of the file. */
export interface PlacedProblem extends Place {
  readonly message: string;
}

/** The parts of a file that refer to each other; whatever has the wrong shape is left out, as it is told elsewhere. */
interface Names {
  readonly defaultLabel: string | undefined;
  readonly aliases: ReadonlyMap<string, string>;
  readonly images: readonly string[];
}

/**
 * What is wrong between the parts of a map: an alias to nothing, in a circle, or with an image's name; a default label
 * to nothing; an image without any file, or with two checksums; two images in one file. Takes data of any shape.
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
    images: [...images.keys()],
  };
  return [...defaultLabelProblems(names), ...aliasProblems(names), ...imageProblems(images)];
}

function defaultLabelProblems(names: Names): PlacedProblem[] {
  const label = names.defaultLabel;
  if (label === undefined || names.aliases.has(label) || names.images.includes(label)) return [];
  return [{ path: ["default_label"], at: "value", message: leadsNowhere("default_label", label, names) }];
}

function aliasProblems(names: Names): PlacedProblem[] {
  const problems: PlacedProblem[] = [];
  const inKnownCycle = new Set<string>();
  for (const [alias, target] of names.aliases) {
    const path = ["aliases", alias];
    if (names.images.includes(alias)) {
      problems.push({
        path,
        message: `alias "${alias}" has the name of an image; rename or remove one of them`,
      });
    }
    if (!names.aliases.has(target) && !names.images.includes(target)) {
      problems.push({ path, at: "value", message: leadsNowhere(`alias "${alias}"`, target, names) });
    }
    const cycle = inKnownCycle.has(alias) ? [] : cycleFrom(alias, names.aliases);
    for (const member of cycle) inKnownCycle.add(member);
    if (cycle.length > 0) {
      const circle = [...cycle, alias].join(" → ");
      problems.push({ path, message: `aliases lead in a circle: ${circle}; let one of them name an image` });
    }
  }
  return problems;
}

/** The aliases passed on the way from `alias` back to itself; empty when the way does not return. */
function cycleFrom(alias: string, aliases: ReadonlyMap<string, string>): string[] {
  const passed = [alias];
  let next = aliases.get(alias);
  while (next !== undefined && next !== alias && !passed.includes(next)) {
    passed.push(next);
    next = aliases.get(next);
  }
  return next === alias ? passed : [];
}

function leadsNowhere(what: string, target: string, names: Names): string {
  const known = [...new Set([...names.aliases.keys(), ...names.images])];
  const hint = didYouMean(target, known);
  return `${what} leads to "${target}", which is no image or alias${hint}; known: ${known.join(", ") || "none"}`;
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
