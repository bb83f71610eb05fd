import { createCacheTables } from "../files/cache-tables.ts";
import type { SchemaDialect } from "./dialect.ts";

/** One step of the schema. Its name is recorded in `schema_migrations`, and it is never edited once released. */
export interface Migration {
  readonly name: string;
  statements(dialect: SchemaDialect): string[];
}

/** Every migration, in the order they are applied. Add at the end, then run the schema test to renew `schema.sql`. */
export const migrations: readonly Migration[] = [
  { name: "0001_jobs", statements: createJobs },
  { name: "0002_many_hosts", statements: addManyHosts },
  { name: "0003_log_digests", statements: addLogDigests },
  { name: "0004_uploads", statements: addUploads },
  {
    name: "0005_failure_details",
    statements: () => ["alter table machines add column runner_failure_detail text"],
  },
  { name: "0007_retries", statements: addRetries },
  { name: "0007_caches", statements: createCacheTables },
  { name: "0008_holds", statements: addHolds },
  { name: "0009_shown_requests", statements: addShownRequests },
];

function createJobs({ keyType, bytesType }: SchemaDialect): string[] {
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
  verdict_reason text,
  verdict_message text,
  verdict_exit_code integer,
  submitted_at bigint not null,
  claimed_at bigint,
  finished_at bigint
)`,
    "create index jobs_by_age on jobs (submitted_at, id)",
    "create index jobs_by_state on jobs (state, submitted_at, id)",
    "create index jobs_by_duration on jobs (label, state, finished_at)",
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
  log_length bigint,
  log_sha256 text,
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
    `create table logs (
  job_id ${keyType} not null,
  attempt integer not null,
  stream ${keyType} not null,
  received bigint not null,
  truncated_at bigint,
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

function addManyHosts({ keyType, bytesType }: SchemaDialect): string[] {
  return [
    `create table hosts (
  id ${keyType} primary key,
  renewals bigint not null,
  renewed_at bigint not null,
  registered_at bigint not null,
  lost_at bigint,
  facts text not null
)`,
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
    "alter table logs add column stored_bytes bigint not null default 0",
    "alter table logs add column expired_at bigint",
    `update logs set stored_bytes = coalesce((select sum(length(data)) from log_chunks
  where log_chunks.job_id = logs.job_id and log_chunks.attempt = logs.attempt and log_chunks.stream = logs.stream), 0)`,
    "create index jobs_by_end on jobs (finished_at, id)",
    "create index jobs_by_host on jobs (host_id, state, submitted_at, id)",
    "create index jobs_by_lane on jobs (state, label, image, fair_key, priority, submitted_at, id)",
  ];
}

function addLogDigests({ bytesType }: SchemaDialect): string[] {
  return [
    "alter table logs rename column truncated_at to dropped_from",
    "alter table logs add column dropped_to bigint",
    "update logs set dropped_to = received where dropped_from is not null",
    "alter table logs add column sha256 text",
    `alter table logs add column digest_state ${bytesType}`,
  ];
}

function addUploads({ keyType }: SchemaDialect): string[] {
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

function addRetries({ keyType }: SchemaDialect): string[] {
  return [
    `alter table jobs add column retry_of ${keyType}`,
    "alter table jobs add column cancel_now_at bigint",
    // Few jobs repeat another one.
    "create index jobs_by_retry on jobs (retry_of, submitted_at, id) where retry_of is not null",
  ];
}

function addHolds(): string[] {
  return [
    "alter table machines add column hold_until_at bigint",
    "alter table machines add column hold_released_at bigint",
    "alter table machines add column hold_refusal text",
  ];
}

/** Jobs that are there already keep null: lists read their requests. */
function addShownRequests(): string[] {
  return ["source", "repo_url", "commit_sha", "ref"].map(
    (name) => `alter table jobs add column ${name} text`,
  );
}
