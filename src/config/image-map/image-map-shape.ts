import { shapeProblems } from "../yaml/shape-problems.ts";
import type { PlacedProblem } from "../yaml/yaml-source.ts";
import { type ImageMapFile, imageMapSchema, knownKeysAt } from "./image-map-schema.ts";

/** The file if its shape is valid, and all problems with its shape. */
export interface ShapeReading {
  readonly file: ImageMapFile | null;
  readonly problems: readonly PlacedProblem[];
}

/** Checks the shape of an image map: keys, types and bounds. */
export function readShape(data: unknown): ShapeReading {
  const parsed = imageMapSchema.safeParse(data, { reportInput: true });
  if (parsed.success) return { file: parsed.data, problems: [] };
  return { file: null, problems: shapeProblems(parsed.error.issues, { file: "the image map", knownKeysAt }) };
}
