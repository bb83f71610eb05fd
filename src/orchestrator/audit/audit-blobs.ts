import { errorText } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { findEntriesWithoutBlob, findStrayBlobs } from "../upkeep/cache-sweep.ts";
import { findLostArtifacts, findStrayArtifacts, findUnfinishedUploads } from "../upkeep/file-sweep.ts";
import { type Stray, type SweepPlace, sweepPlace } from "../upkeep/sweep-place.ts";
import type { AuditedLeak } from "./audit-state.ts";
import { reportLeak } from "./report-leak.ts";

/** The dependencies of {@link auditBlobs}. */
export type BlobAuditContext = Pick<Context, "store" | "blobs" | "identity" | "audits" | "log">;

/** The result of comparing the blobs; `problem` is the reason why the result is incomplete, or null. */
export interface BlobAudit {
  readonly leaks: readonly AuditedLeak[];
  readonly problem: string | null;
}

/** Maximum differences in one audit; the next audit continues. */
const maxStrays = 10_000;

/** Records are checked before blobs: a blob that a repair orphans is then found in the same audit. */
const finders: readonly ((place: SweepPlace) => AsyncGenerator<Stray>)[] = [
  findUnfinishedUploads,
  findLostArtifacts,
  findStrayArtifacts,
  findEntriesWithoutBlob,
  findStrayBlobs,
];

/**
 * Compares the blobs of artifacts and the cache in this host's place with the store, by the rules of the
 * hourly sweeps, and with `fix` repairs the differences as they do. Runs only on request: listing a bucket of
 * a million blobs every few minutes would cost too much.
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
