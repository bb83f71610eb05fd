import type { SchemaDialect } from "./dialect.ts";

/** Every table and index, as the first release creates them. The tables as queries see them are in `schema.ts`. */
export function createInitialSchema(dialect: SchemaDialect): string[] {
  return [
    ...createJobs(dialect),
    ...createAttempts(dialect),
    ...createLogs(dialect),
    ...createHosts(dialect),
    ...createMessages(dialect),
    ...createUploads(dialect),
    ...createCaches(dialect),
  ];
}

function createJobs({ keyType }: SchemaDialect): string[] {
  return [
    `create table jobs (
  id ${keyType} primary key,
  request_id ${keyType} not null unique,
  request text not null,
  state ${keyType} not null,
  state_since_at bigint not null,
  image ${keyType} not null,
  label ${keyType} not null,
  cpu integer not null,
  ram_mb integer not null,
  disk_gb integer not null,
  fair_key ${keyType} not null,
  priority integer not null,
  timeout_seconds integer not null,
  attempt integer not null,
  max_attempts integer not null,
  host_id ${keyType},
  cancel_requested_at bigint,
  cancel_now_at bigint,
  retry_of ${keyType},
  verdict_reason text,
  verdict_message text,
  verdict_exit_code integer,
  submitted_at bigint not null,
  claimed_at bigint,
  finished_at bigint,
  source text not null,
  repo_url text,
  commit_sha text,
  ref text
)`,
    "create index jobs_by_age on jobs (submitted_at, id)",
    "create index jobs_by_state on jobs (state, submitted_at, id)",
    "create index jobs_by_duration on jobs (label, state, finished_at)",
    "create index jobs_by_end on jobs (finished_at, id)",
    "create index jobs_by_host on jobs (host_id, state, submitted_at, id)",
    "create index jobs_by_lane on jobs (state, label, image, fair_key, priority, submitted_at, id)",
    // Few jobs repeat another one.
    "create index jobs_by_retry on jobs (retry_of, submitted_at, id) where retry_of is not null",
    `create table job_transitions (
  job_id ${keyType} not null references jobs (id) on delete cascade,
  attempt integer not null,
  to_state ${keyType} not null,
  from_state text,
  at bigint not null,
  host_id text,
  reason text,
  primary key (job_id, attempt, to_state)
)`,
  ];
}

function createAttempts({ keyType }: SchemaDialect): string[] {
  return [
    `create table machines (
  job_id ${keyType} not null references jobs (id) on delete cascade,
  attempt integer not null,
  host_id ${keyType} not null,
  backend text not null,
  state ${keyType} not null,
  state_since_at bigint not null,
  bootstrap_token_hash ${keyType} not null unique,
  session_token_hash ${keyType} unique,
  runner_started_at bigint,
  runner_seen_at bigint,
  runner_finished_at bigint,
  runner_exit_code integer,
  runner_failure text,
  runner_failure_detail text,
  log_length bigint,
  log_sha256 text,
  hold_until_at bigint,
  hold_released_at bigint,
  hold_refusal text,
  primary key (job_id, attempt)
)`,
    "create index machines_by_host on machines (host_id, state)",
    `create table steps (
  job_id ${keyType} not null,
  attempt integer not null,
  step_index integer not null,
  name text not null,
  state text not null,
  exit_code integer,
  started_at bigint,
  finished_at bigint,
  log_start bigint,
  log_end bigint,
  primary key (job_id, attempt, step_index),
  foreign key (job_id, attempt) references machines (job_id, attempt) on delete cascade
)`,
  ];
}

function createLogs({ keyType, bytesType }: SchemaDialect): string[] {
  return [
    `create table logs (
  job_id ${keyType} not null,
  attempt integer not null,
  stream ${keyType} not null,
  received bigint not null,
  dropped_from bigint,
  dropped_to bigint,
  sha256 text,
  digest_state ${bytesType},
  stored_bytes bigint not null default 0,
  expired_at bigint,
  primary key (job_id, attempt, stream),
  foreign key (job_id, attempt) references machines (job_id, attempt) on delete cascade
)`,
    `create table log_chunks (
  job_id ${keyType} not null,
  attempt integer not null,
  stream ${keyType} not null,
  start_offset bigint not null,
  length integer not null,
  encoding text not null,
  data ${bytesType} not null,
  primary key (job_id, attempt, stream, start_offset),
  foreign key (job_id, attempt, stream) references logs (job_id, attempt, stream) on delete cascade
)`,
  ];
}

function createHosts({ keyType }: SchemaDialect): string[] {
  return [
    `create table hosts (
  id ${keyType} primary key,
  renewals bigint not null,
  renewed_at bigint not null,
  registered_at bigint not null,
  lost_at bigint,
  facts text not null
)`,
  ];
}

/** The tables for messages between the store and the broker. */
function createMessages({ keyType, bytesType }: SchemaDialect): string[] {
  return [
    `create table outbox (
  job_id ${keyType} primary key references jobs (id) on delete cascade,
  created_at bigint not null,
  claimed_by text,
  claimed_until bigint,
  published_at bigint
)`,
    "create index outbox_by_publication on outbox (published_at, created_at, job_id)",
    `create table rejected_messages (
  id ${keyType} primary key,
  received_at bigint not null,
  reason text not null,
  message text not null,
  request_id text,
  host_id text not null,
  body ${bytesType} not null,
  body_bytes bigint not null,
  times integer not null
)`,
    "create index rejected_by_age on rejected_messages (received_at, id)",
  ];
}

function createUploads({ keyType }: SchemaDialect): string[] {
  return [
    `create table uploads (
  job_id ${keyType} not null,
  attempt integer not null,
  id ${keyType} not null,
  kind ${keyType} not null,
  name text not null,
  size_bytes bigint not null,
  blob_key ${keyType} not null,
  blob_host_id ${keyType},
  begun_at bigint not null,
  sha256 text,
  stored_at bigint,
  expired_at bigint,
  primary key (job_id, attempt, id),
  foreign key (job_id, attempt) references machines (job_id, attempt) on delete cascade
)`,
    "create index uploads_by_kind on uploads (kind, blob_host_id, expired_at, stored_at, size_bytes)",
  ];
}

/** The tables of caches: the entries, and each attempt's use of them. */
function createCaches({ keyType }: SchemaDialect): string[] {
  return [
    `create table cache_entries (
  id ${keyType} primary key,
  place ${keyType} not null,
  repository ${keyType} not null,
  image ${keyType} not null,
  ref ${keyType} not null,
  paths_id ${keyType} not null,
  cache_key ${keyType} not null,
  size_bytes bigint not null,
  sha256 text not null,
  compression text not null,
  first_part_bytes bigint not null,
  blob_key ${keyType} not null,
  job_id text not null,
  created_at bigint not null,
  last_used_at bigint not null,
  uses bigint not null default 0
)`,
    `create unique index cache_entries_by_key
  on cache_entries (repository, image, paths_id, place, ref, cache_key)`,
    "create unique index cache_entries_by_blob on cache_entries (blob_key)",
    "create index cache_entries_by_use on cache_entries (place, last_used_at, id)",
    `create table cache_uses (
  job_id ${keyType} not null,
  attempt integer not null,
  cache_index integer not null,
  action ${keyType} not null,
  outcome text not null,
  cache_key text not null,
  entry_id ${keyType},
  size_bytes bigint not null,
  at bigint not null,
  primary key (job_id, attempt, cache_index, action),
  foreign key (job_id, attempt) references machines (job_id, attempt) on delete cascade
)`,
    "create index cache_uses_by_entry on cache_uses (entry_id, job_id)",
  ];
}
