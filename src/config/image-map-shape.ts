import type { z } from "zod";
import { didYouMean } from "../core/closest-name.ts";
import type { PlacedProblem } from "./image-map-references.ts";
import { type ImageMapFile, imageMapSchema, knownKeysAt } from "./image-map-schema.ts";

/** The file when its shape is right, and every problem with its shape. */
export interface ShapeReading {
  readonly file: ImageMapFile | null;
  readonly problems: readonly PlacedProblem[];
}

/** Checks the shape of an image map: keys, types and bounds. */
export function readShape(data: unknown): ShapeReading {
  const parsed = imageMapSchema.safeParse(data, { reportInput: true });
  if (parsed.success) return { file: parsed.data, problems: [] };
  return { file: null, problems: parsed.error.issues.flatMap(problemsOfIssue) };
}

function problemsOfIssue(issue: z.core.$ZodIssue): PlacedProblem[] {
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(issue.path, key));
  if (issue.code === "invalid_key") {
    const rule = issue.issues[0]?.message ?? "another name";
    return [{ path: issue.path, message: `${pathText(issue.path)} is not a usable name; needs ${rule}` }];
  }
  if (issue.code === "invalid_type" && issue.input === undefined) {
    const parent = issue.path.slice(0, -1);
    const message = `${pathText(parent)} has no ${String(issue.path.at(-1))}; add it: ${issue.message}`;
    return [{ path: parent, message }];
  }
  const message = `${pathText(issue.path)} is ${valueText(issue.input)}; needs ${issue.message}`;
  return [{ path: issue.path, at: "value", message }];
}

function unknownKey(parent: readonly PropertyKey[], key: string): PlacedProblem {
  const known = knownKeysAt(parent);
  const message = `unknown key "${key}"${didYouMean(key, known)}; ${pathText(parent)} may have ${known.join(", ")}`;
  return { path: [...parent, key], message };
}

function pathText(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "the image map" : path.map(String).join(".");
}

const shownCharsMax = 60;

function valueText(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text;
}
