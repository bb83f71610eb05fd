import { createHash } from "node:crypto";
import { createSHA256, type IHasher } from "hash-wasm";

/** SHA-256 (hex) of zero bytes. */
export const digestOfNothing = createHash("sha256").digest("hex");

/** The digest of everything that a log received, and the state to continue it. */
export interface LogDigest {
  /** SHA-256, in hex. */
  readonly sha256: string;
  /** The hasher's inner state, about 120 bytes; null before the first byte. */
  readonly state: Uint8Array | null;
}

/**
 * SHA-256 works on blocks, and its state contains the last block in plain. These are the positions of that block and of
 * the byte count in a saved state. hash-wasm refuses the state of a release that may have other positions, and a test
 * checks them.
 */
const blockBytes = 64;
const blockAt = 4;
const countAt = blockAt + blockBytes;

// Node's own hash is faster, but does not export its state. This one takes 30 µs for 4 KiB and 4 ms for 1 MiB.
let hasher: Promise<IHasher> | null = null;

/** Number of bytes that a state covers. */
export function digestedBytes({ state }: LogDigest): number {
  if (state === null) return 0;
  return Number(new DataView(state.buffer, state.byteOffset, state.byteLength).getBigUint64(countAt, true));
}

/**
 * The digest with `data` added, in a time that does not depend on earlier bytes. `data` begins where the state ends.
 * With `secret`, no byte of `data` is left in the state, which then covers only whole blocks: the rest must be given
 * again. Null when `before` is null, or was saved by another release of the hasher: a digest that cannot be proved is
 * never reported.
 */
export async function addToDigest(
  before: LogDigest | null,
  data: Uint8Array,
  { secret = false }: { readonly secret?: boolean } = {},
): Promise<LogDigest | null> {
  if (before === null) return null;
  hasher ??= createSHA256();
  // One hasher for the whole process: the code below never waits, so it is never used twice at once.
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

/** The last position up to `length` where a state can end without containing plain bytes. */
export function digestBoundary(length: number): number {
  return length - (length % blockBytes);
}
