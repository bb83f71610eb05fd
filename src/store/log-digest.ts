import { createHash, type Hash } from "node:crypto";
import type { LogKey } from "./keys.ts";
import { readChunks } from "./log-reader.ts";
import type { Store } from "./store.ts";

/** Logs whose digest is remembered, so that asking again costs only what came since. */
const maxRemembered = 200;

interface Progress {
  readonly hash: Hash;
  readonly offset: number;
}

/** In this process only, and never needed: what is not remembered is read back from the store. */
const remembered = new WeakMap<Store, Map<string, Progress>>();

/** The SHA-256 (hex) of the first `end` bytes of a log that was not truncated. */
export async function digestUpTo(store: Store, key: LogKey, end: number): Promise<string> {
  const name = `${key.jobId} ${key.attempt} ${key.stream}`;
  const known = ofStore(store).get(name);
  const start =
    known !== undefined && known.offset <= end ? known : { hash: createHash("sha256"), offset: 0 };
  // A copy: another call may go on from the same place at the same time.
  const hash = start.hash.copy();
  for await (const bytes of readChunks(store, key, { start: start.offset, end })) hash.update(bytes);
  remember(ofStore(store), name, { hash, offset: end });
  return hash.copy().digest("hex");
}

function ofStore(store: Store): Map<string, Progress> {
  const known = remembered.get(store) ?? new Map<string, Progress>();
  remembered.set(store, known);
  return known;
}

function remember(progress: Map<string, Progress>, name: string, reached: Progress): void {
  progress.delete(name);
  progress.set(name, reached);
  const oldest = progress.keys().next();
  if (progress.size > maxRemembered && !oldest.done) progress.delete(oldest.value);
}
