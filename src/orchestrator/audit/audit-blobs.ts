import { errorText } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { findEntriesWithoutBlob, findStrayBlobs } from "../upkeep/cache-sweep.ts";
import { findLostArtifacts, findStrayArtifacts, findUnfinishedUploads } from "../upkeep/file-sweep.ts";
import { type Stray, type SweepPlace, sweepPlace } from "../upkeep/sweep-place.ts";
import type { AuditedLeak } from "./audit-state.ts";
import { reportLeak } from "./report-leak.ts";

/** What {@link auditBlobs} works with. */
export type BlobAuditContext = Pick<Context, "store" | "blobs" | "identity" | "audits" | "log">;

/** What a comparison of the blobs found; `problem` says why it is not all, null when it is. */
export interface BlobAudit {
  readonly leaks: readonly AuditedLeak[];
  readonly problem: string | null;
}

/** The most differences that one comparison deals with; the next one goes on. */
const maxStrays = 10_000;

/** Records come before blobs: what a record lets go is seen as a stray by the same comparison. */
const finders: readonly ((place: SweepPlace) => AsyncGenerator<Stray>)[] = [
  findUnfinishedUploads,
  findLostArtifacts,
  findStrayArtifacts,
  findEntriesWithoutBlob,
  findStrayBlobs,
];

/**
 * Compares what artifacts and the cache have in their place with the store, by the rules of the hourly sweeps, and with
 * `fix` repairs as they do. It is for who asks: a bucket of a million blobs is not listed every few minutes.
 */
export function auditBlobs(context: BlobAuditContext, options: { fix: boolean }): Promise<BlobAudit> {
  const { store, blobs, identity, audits } = context;
  return audits.lock.run("audit", async () => {
    const leaks: AuditedLeak[] = [];
    let problem: string | null = null;
    try {
      for await (const stray of findStrays(sweepPlace({ store, blobs, hostId: identity.hostId }))) {
        leaks.push(await audited(stray, options));
        if (leaks.length === maxStrays) break;
      }
    } catch (error) {
      problem = errorText(error);
    }
    if (options.fix) for (const leak of leaks) reportLeak(context, leak);
    audits.record("blobs", leaks, Date.now());
    return { leaks, problem };
  });
}

async function* findStrays(place: SweepPlace): AsyncGenerator<Stray> {
  for (const find of finders) yield* find(place);
}

async function audited({ repair, ...leak }: Stray, { fix }: { readonly fix: boolean }): Promise<AuditedLeak> {
  if (!fix) return { ...leak, isFixed: false, problem: "" };
  try {
    await repair();
    return { ...leak, isFixed: true, problem: "" };
  } catch (error) {
    return { ...leak, isFixed: false, problem: errorText(error) };
  }
}
