import { createHash } from "node:crypto";
import { createSHA256, type IHasher } from "hash-wasm";

/** SHA-256 (hex) of no bytes at all. */
export const digestOfNothing = createHash("sha256").digest("hex");

/** The digest of everything a log received, and what it takes to go on with it. */
export interface LogDigest {
  /** SHA-256, in hex. */
  readonly sha256: string;
  /** The hasher's inner state, about 120 bytes; null before the first byte. */
  readonly state: Uint8Array | null;
}

/**
 * SHA-256 works on blocks, and its state holds the last one as it came. Where that is in a saved state, and where the count
 * of bytes is: hash-wasm refuses a state of a release that may have it elsewhere, and a test looks.
 */
const blockBytes = 64;
const blockAt = 4;
const countAt = blockAt + blockBytes;

// Node's own hash is faster, and does not give its state away. This one runs 4 KiB in 30 µs and 1 MiB in 4 ms.
let hasher: Promise<IHasher> | null = null;

/** How many bytes a state knows of. */
export function digestedBytes({ state }: LogDigest): number {
  if (state === null) return 0;
  return Number(new DataView(state.buffer, state.byteOffset, state.byteLength).getBigUint64(countAt, true));
}

/**
 * The digest after `data` came, too; in no time that depends on what came before. `data` begins where the state ends. With
 * `secret`, no byte of it is left in the state, which then knows of whole blocks only: the rest has to be given again. Null
 * where `before` is not known, or was left by another release of the hasher: what cannot be proved is then not called proved.
 */
export async function addToDigest(
  before: LogDigest | null,
  data: Uint8Array,
  { secret = false }: { readonly secret?: boolean } = {},
): Promise<LogDigest | null> {
  if (before === null) return null;
  hasher ??= createSHA256();
  // One for the whole process: from here on nothing waits, so no two use it at once.
  const sha256 = await hasher;
  try {
    if (before.state === null) sha256.init();
    else sha256.load(before.state);
  } catch {
    return null;
  }
  if (!secret) {
    sha256.update(data);
    const state = sha256.save();
    return { sha256: sha256.digest("hex"), state };
  }
  const begun = digestedBytes(before) % blockBytes;
  const whole = Math.max(0, data.byteLength - ((begun + data.byteLength) % blockBytes));
  const isBlock = (begun + whole) % blockBytes === 0;
  sha256.update(data.subarray(0, whole));
  const state = isBlock ? sha256.save().fill(0, blockAt, countAt) : before.state;
  sha256.update(data.subarray(whole));
  return { sha256: sha256.digest("hex"), state };
}

/** The last place before `length` where a state can end that holds none of the bytes before it. */
export function digestBoundary(length: number): number {
  return length - (length % blockBytes);
}
