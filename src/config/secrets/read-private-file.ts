import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { errorText } from "../../core/errors.ts";

/** The bytes of a file, or the reason why it cannot be used. `version` changes when the file changes. */
export type PrivateFile =
  | { readonly bytes: Buffer; readonly version: string }
  | { readonly problem: string; readonly version: string };

/**
 * Reads a file of secrets: a regular file of at most `maxBytes` that belongs to this process's user or to root, and that no
 * other user can read. Never throws. The problem is one clause with its remedy, and repeats no part of the file.
 */
export async function readPrivateFile(path: string, maxBytes: number): Promise<PrivateFile> {
  try {
    // O_NONBLOCK: opening a pipe must not wait for a writer.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await file.stat({ bigint: true });
    const version = `${facts.ino} ${facts.size} ${facts.mtimeNs} ${facts.ctimeNs}`;
    const owner = Number(facts.uid);
    if (!facts.isFile()) return { problem: `${path} is not a file`, version };
    if ((Number(facts.mode) & 0o077) !== 0) {
      return { problem: `${path} can be read by others; needs: chmod 600 ${path}`, version };
    }
    if (owner !== 0 && owner !== process.getuid?.()) {
      return {
        problem: `${path} belongs to another user; needs: chown ${process.getuid?.()} ${path}`,
        version,
      };
    }
    if (facts.size > maxBytes) return { problem: `${path} has more than ${maxBytes} bytes`, version };
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(maxBytes + 1) });
    return { bytes: buffer.subarray(0, bytesRead), version };
  } catch (error) {
    return { problem: `${path} cannot be read (${errorText(error)})`, version: "none" };
  }
}
