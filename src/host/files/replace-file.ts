import { chmodSync, renameSync, writeFileSync } from "node:fs";

/**
 * Replaces a small file atomically: a reader, also after a crash, finds the whole old text or the whole new text.
 * `mode` is set under any umask. Only one process at a time may write a path: the text is first written to `PATH.new`.
 */
export function replaceFile(path: string, text: string, mode: number): void {
  const fresh = `${path}.new`;
  writeFileSync(fresh, text, { mode, flush: true });
  chmodSync(fresh, mode);
  renameSync(fresh, path);
}
