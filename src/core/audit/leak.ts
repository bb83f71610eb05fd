/** Every kind of difference that an audit can find. `docs/reference/leaks.md` explains each; a test keeps the two equal. */
export const leakKinds = [
  "guest_without_job",
  "guest_of_other_attempt",
  "misnamed_guest",
  "files_without_guest",
  "domain_without_files",
  "machine_without_guest",
  "job_without_machine",
  "lease_without_guest",
  "interface_without_guest",
  "stale_temporary_file",
  "artifact_without_record",
  "artifact_without_blob",
  "unfinished_upload",
  "cache_blob_without_entry",
  "cache_entry_without_blob",
] as const;

/** One of {@link leakKinds}. */
export type LeakKind = (typeof leakKinds)[number];

/**
 * The repair of a leak. `remove`: delete the thing from the host. `finish`: end the record. `adopt`: the orchestrator
 * resumes the job at its next start. `by_hand`: a person must decide. `none`: resolves automatically.
 */
export type LeakRemedy = "remove" | "finish" | "adopt" | "by_hand" | "none";

/** A difference between two inventories. */
export interface Leak {
  readonly kind: LeakKind;
  /** The guest, file, address or record concerned. */
  readonly name: string;
  /** Null when the job is unknown. */
  readonly jobId: string | null;
  /** The difference and its likely cause: a sentence or two for a person. */
  readonly cause: string;
  readonly remedy: LeakRemedy;
}

/** A key by which two audits recognise the same leak. */
export function leakKey({ kind, name, jobId }: Leak): string {
  return JSON.stringify([kind, name, jobId]);
}
