import { readFileSync } from "node:fs";

/** Version of this installation, from its package.json (two directories up, also in `dist`). */
export function projectVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return String((JSON.parse(text) as { version?: unknown }).version);
}
