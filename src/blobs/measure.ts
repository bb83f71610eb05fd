import { createHash } from "node:crypto";
import { SolsticeError } from "../core/errors.ts";
import { formatBytes } from "../host/files/disk-space.ts";
import type { WriteOptions, WrittenBlob } from "./blob-store.ts";

/**
 * Passes a stream on while counting and hashing it. `result` is valid after the end of the stream. Throws
 * `limit_exceeded`.
 */
export function measure(source: AsyncIterable<Uint8Array>, { limitBytes }: WriteOptions) {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  async function* pass(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > limitBytes) {
        throw new SolsticeError(
          "limit_exceeded",
          `The data exceeds the limit of ${formatBytes(limitBytes)}.`,
        );
      }
      hash.update(chunk);
      yield chunk;
    }
  }
  return { chunks: pass(), result: (): WrittenBlob => ({ sizeBytes, sha256: hash.digest("hex") }) };
}
