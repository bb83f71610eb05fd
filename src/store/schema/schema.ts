import type { Generated } from "kysely";
import type { CacheCompression } from "../../core/cache/archive.ts";
import type { RestoreOutcome } from "../../core/cache/lookup.ts";
import type { SaveOutcome } from "../../core/cache/save.ts";
import type { Backend, LogStream, MachineState, RunnerFailure, StepState } from "../../core/job/job.ts";
import type { JobState } from "../../core/job/job-state.ts";
import type { VerdictReason } from "../../core/job/verdict.ts";
import type { HoldRefusal } from "../../core/request/hold-limits.ts";

/** The tables as queries see them. All `*_at` columns are ms since the epoch; `initial-schema.ts` creates them. */
export interface Database {
  jobs: JobsTable;
  job_transitions: JobTransitionsTable;
  machines: MachinesTable;
  steps: StepsTable;
  logs: LogsTable;
  log_chunks: LogChunksTable;
  hosts: HostsTable;
  outbox: OutboxTable;
  rejected_messages: RejectedMessagesTable;
  uploads: UploadsTable;
  cache_entries: CacheEntriesTable;
  cache_uses: CacheUsesTable;
}

/** One row per accepted request. */
export interface JobsTable {
  id: string;
  request_id: string;
  /** The validated request as JSON. */
  request: string;
  state: JobState;
  state_since_at: number;
  image: string;
  label: string;
  cpu: number;
  ram_mb: number;
  disk_gb: number;
  fair_key: string;
  priority: number;
  timeout_seconds: number;
  attempt: number;
  max_attempts: number;
  host_id: string | null;
  cancel_requested_at: number | null;
  /** When a person requested the end without clean-up. */
  cancel_now_at: number | null;
  /** The id of the job that this one repeats; that job may have been removed since. */
  retry_of: string | null;
  /** The verdict's state is not stored: it follows from its reason. */
  verdict_reason: VerdictReason | null;
  verdict_message: string | null;
  verdict_exit_code: number | null;
  submitted_at: number;
  /** When the last attempt was claimed: durations start here. */
  claimed_at: number | null;
  finished_at: number | null;
  /** The fields of the request that lists show, since lists do not read the request itself. */
  source: string;
  repo_url: string | null;
  commit_sha: string | null;
  ref: string | null;
}

/** One row per change of a job's state. A state is entered at most once per attempt, which the key enforces. */
export interface JobTransitionsTable {
  job_id: string;
  attempt: number;
  to_state: JobState;
  from_state: JobState | null;
  at: number;
  host_id: string | null;
  reason: string | null;
}

/** One row per attempt: its virtual machine, and the data that its runner reported. */
export interface MachinesTable {
  job_id: string;
  attempt: number;
  host_id: string;
  backend: Backend;
  state: MachineState;
  state_since_at: number;
  bootstrap_token_hash: string;
  session_token_hash: string | null;
  runner_started_at: number | null;
  runner_seen_at: number | null;
  runner_finished_at: number | null;
  runner_exit_code: number | null;
  runner_failure: RunnerFailure | null;
  runner_failure_detail: string | null;
  log_length: number | null;
  log_sha256: string | null;
  hold_until_at: number | null;
  hold_released_at: number | null;
  hold_refusal: HoldRefusal | null;
}

/** One row per step of an attempt. */
export interface StepsTable {
  job_id: string;
  attempt: number;
  step_index: number;
  name: string;
  state: StepState;
  exit_code: number | null;
  started_at: number | null;
  finished_at: number | null;
  log_start: number | null;
  log_end: number | null;
}

/** One row per log: its received and kept bytes. */
export interface LogsTable {
  job_id: string;
  attempt: number;
  stream: LogStream;
  /** Bytes received without a gap, kept or not. */
  received: number;
  /** The bytes in its middle (the end exclusive) that were counted but not kept; null when all are kept. */
  dropped_from: number | null;
  dropped_to: number | null;
  /** SHA-256 (hex) of everything received, and the hasher's state to continue from; null when lost. */
  sha256: string | null;
  digest_state: Uint8Array | null;
  /** Bytes that its rows in `log_chunks` take, after compression. */
  stored_bytes: Generated<number>;
  /** When retention removed its bytes; null before. */
  expired_at: number | null;
}

/**
 * A log's bytes. Rows of one log follow each other without overlap or gap, from offset 0 on, except for the dropped
 * range.
 */
export interface LogChunksTable {
  job_id: string;
  attempt: number;
  stream: LogStream;
  start_offset: number;
  /** Length in bytes before compression. */
  length: number;
  encoding: "plain" | "zstd";
  data: Uint8Array;
}

/** One row per orchestrator that ever ran on this store. */
export interface HostsTable {
  id: string;
  /** Grows with each renewal of the lease. */
  renewals: number;
  renewed_at: number;
  registered_at: number;
  /** When another host declared it lost; null while it holds its lease. */
  lost_at: number | null;
  /** `HostFacts` of core as JSON. */
  facts: string;
}

/** One row per result to publish, written with the verdict. */
export interface OutboxTable {
  job_id: string;
  created_at: number;
  /** The host that publishes it now, and the end of that claim. */
  claimed_by: string | null;
  claimed_until: number | null;
  /** When the broker confirmed it. */
  published_at: number | null;
}

/** One row per message that was refused and dead-lettered; a repeated body only increments `times`. */
export interface RejectedMessagesTable {
  /** SHA-256 (hex) of the whole body. */
  id: string;
  received_at: number;
  /** The error code of the refusal. */
  reason: string;
  message: string;
  request_id: string | null;
  host_id: string;
  /** The beginning of the body; `body_bytes` is its whole length. */
  body: Uint8Array;
  body_bytes: number;
  times: number;
}

/** One row per file that a guest sent or sends, of one attempt. */
export interface UploadsTable {
  job_id: string;
  attempt: number;
  id: string;
  kind: string;
  name: string;
  size_bytes: number;
  blob_key: string;
  /** The only host that can read the blob; null where every host can. */
  blob_host_id: string | null;
  begun_at: number;
  sha256: string | null;
  /** When its blob was complete. */
  stored_at: number | null;
  /** When its blob was removed, or found missing. */
  expired_at: number | null;
}

/** One row per complete entry of the cache. */
export interface CacheEntriesTable {
  /** A shorter form of its blob's key. */
  id: string;
  /** The host whose directory has the blob; empty where every host can read it. */
  place: string;
  repository: string;
  image: string;
  ref: string;
  /** Identifies the list of paths, in their order: an archive of other paths is another cache. */
  paths_id: string;
  cache_key: string;
  size_bytes: number;
  sha256: string;
  compression: CacheCompression;
  /**
   * Number of its bytes that are the archive of the checkout's paths; the rest is the archive of the home directory's.
   */
  first_part_bytes: number;
  blob_key: string;
  /** The job that saved it. */
  job_id: string;
  created_at: number;
  last_used_at: number;
  /** Number of restores. */
  uses: Generated<number>;
}

/**
 * One row for an attempt's use of one cache of its request. A restore protects its entry while the attempt is in
 * progress.
 */
export interface CacheUsesTable {
  job_id: string;
  attempt: number;
  /** Index of the cache in the request, from 0. */
  cache_index: number;
  action: "restore" | "save";
  outcome: RestoreOutcome | SaveOutcome;
  /** The key of the entry that was found or saved; for a miss the requested key. */
  cache_key: string;
  entry_id: string | null;
  size_bytes: number;
  at: number;
}
