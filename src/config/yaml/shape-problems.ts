import type { z } from "zod";
import { didYouMean } from "../../core/text/closest-name.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import type { PlacedProblem } from "./yaml-source.ts";

/** Words for the problems with the shape of a file. */
export interface ShapeWords {
  /** The file's name in messages, such as `the image map`. */
  readonly file: string;
  /** The valid keys at a place of the file. */
  readonly knownKeysAt: (path: readonly PropertyKey[]) => readonly string[];
  /** True for a file of secrets: messages repeat only valid keys of it. */
  readonly secret?: true;
}

/** Problems with the shape of a file (keys, types and bounds), each with its place. */
export function shapeProblems(issues: readonly z.core.$ZodIssue[], words: ShapeWords): PlacedProblem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, words));
}

function problemsOfIssue(issue: z.core.$ZodIssue, words: ShapeWords): PlacedProblem[] {
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(issue.path, key, words));
  if (issue.code === "invalid_key") {
    const rule = issue.issues[0]?.message ?? "another name";
    const which = words.secret ? "this" : pathText(issue.path, words);
    return [{ path: issue.path, message: `${which} is not a usable name; needs ${rule}` }];
  }
  if (issue.code === "invalid_type" && issue.input === undefined) {
    const parent = issue.path.slice(0, -1);
    const message = `${pathText(parent, words)} has no ${String(issue.path.at(-1))}; add it: ${issue.message}`;
    return [{ path: parent, message }];
  }
  const shown = words.secret ? "cannot be used" : `is ${valueText(issue.input)}`;
  const message = `${pathText(issue.path, words)} ${shown}; needs ${issue.message}`;
  return [{ path: issue.path, at: "value", message }];
}

function unknownKey(parent: readonly PropertyKey[], key: string, words: ShapeWords): PlacedProblem {
  const validKeys = words.knownKeysAt(parent);
  const hint = didYouMean(key, validKeys);
  const shown = words.secret ? "unknown key" : `unknown key "${key}"`;
  const message = `${shown}${hint}; ${pathText(parent, words)} may have ${validKeys.join(", ")}`;
  return { path: [...parent, key], message };
}

function pathText(path: readonly PropertyKey[], words: ShapeWords): string {
  return path.length === 0 ? words.file : path.map(String).join(".");
}

const shownCharsMax = 60;

function valueText(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = JSON.stringify(typeof value === "string" ? shownUrl(value) : value) ?? String(value);
  return text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text;
}
