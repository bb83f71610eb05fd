import { chmodSync, renameSync, writeFileSync } from "node:fs";

/**
 * Writes a small file so that a reader, also one after a crash, finds the old text or the new one whole. `mode` holds under any
 * umask. One process at a time may write a path: the text goes to `PATH.new` first.
 */
export function replaceFile(path: string, text: string, mode: number): void {
  const fresh = `${path}.new`;
  writeFileSync(fresh, text, { mode, flush: true });
  chmodSync(fresh, mode);
  renameSync(fresh, path);
}
