import { open } from "node:fs/promises";
import { hasErrorCode } from "../error-code.ts";

/** Reads at most `maxBytes` of a file from byte `offset`; the result is empty when the file does not exist. */
export async function readPart(path: string, offset: number, maxBytes: number): Promise<Buffer> {
  const file = await open(path).catch((error: unknown) => {
    if (hasErrorCode(error, "ENOENT")) return null;
    throw error;
  });
  if (file === null) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const length = Math.max(0, Math.min(maxBytes, size - offset));
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
