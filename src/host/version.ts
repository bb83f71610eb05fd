import { readFileSync } from "node:fs";

/** The version of this installation, from its package.json (which is two directories up from here, also in `dist`). */
export function projectVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return String((JSON.parse(text) as { version?: unknown }).version);
}
