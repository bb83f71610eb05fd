-- The schema after all migrations, on SQLite. A test compares this file with the database; it is never run.

CREATE TABLE cache_entries (
  id text primary key,
  place text not null,
  repository text not null,
  image text not null,
  ref text not null,
  paths_id text not null,
  cache_key text not null,
  size_bytes bigint not null,
  sha256 text not null,
  compression text not null,
  first_part_bytes bigint not null,
  blob_key text not null,
  job_id text not null,
  created_at bigint not null,
  last_used_at bigint not null,
  uses bigint not null default 0
);

CREATE UNIQUE INDEX cache_entries_by_blob on cache_entries (blob_key);

CREATE UNIQUE INDEX cache_entries_by_key
  on cache_entries (repository, image, paths_id, place, ref, cache_key);

CREATE INDEX cache_entries_by_use on cache_entries (place, last_used_at, id);

CREATE TABLE cache_uses (
  job_id text not null,
  attempt integer not null,
  cache_index integer not null,
  action text not null,
  outcome text not null,
  cache_key text not null,
  entry_id text,
  size_bytes bigint not null,
  at bigint not null,
  primary key (job_id, attempt, cache_index, action),
  foreign key (job_id, attempt) references machines (job_id, attempt) on delete cascade
);

CREATE INDEX cache_uses_by_entry on cache_uses (entry_id, job_id);

CREATE TABLE hosts (
  id text primary key,
  renewals bigint not null,
  renewed_at bigint not null,
  registered_at bigint not null,
  lost_at bigint,
  facts text not null
);

CREATE TABLE job_transitions (
  job_id text not null references jobs (id) on delete cascade,
  attempt integer not null,
  to_state text not null,
  from_state text,
  at bigint not null,
  host_id text,
  reason text,
  primary key (job_id, attempt, to_state)
);

CREATE TABLE jobs (
  id text primary key,
  request_id text not null unique,
  request text not null,
  state text not null,
  state_since_at bigint not null,
  image text not null,
  label text not null,
  cpu integer not null,
  ram_mb integer not null,
  disk_gb integer not null,
  fair_key text not null,
  priority integer not null,
  timeout_seconds integer not null,
  attempt integer not null,
  max_attempts integer not null,
  host_id text,
  cancel_requested_at bigint,
  cancel_now_at bigint,
  retry_of text,
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
);

CREATE INDEX jobs_by_age on jobs (submitted_at, id);

CREATE INDEX jobs_by_duration on jobs (label, state, finished_at);

CREATE INDEX jobs_by_end on jobs (finished_at, id);

CREATE INDEX jobs_by_host on jobs (host_id, state, submitted_at, id);

CREATE INDEX jobs_by_lane on jobs (state, label, image, fair_key, priority, submitted_at, id);

CREATE INDEX jobs_by_retry on jobs (retry_of, submitted_at, id) where retry_of is not null;

CREATE INDEX jobs_by_state on jobs (state, submitted_at, id);

CREATE TABLE log_chunks (
  job_id text not null,
  attempt integer not null,
  stream text not null,
  start_offset bigint not null,
  length integer not null,
  encoding text not null,
  data blob not null,
  primary key (job_id, attempt, stream, start_offset),
  foreign key (job_id, attempt, stream) references logs (job_id, attempt, stream) on delete cascade
);

CREATE TABLE logs (
  job_id text not null,
  attempt integer not null,
  stream text not null,
  received bigint not null,
  dropped_from bigint,
  dropped_to bigint,
  sha256 text,
  digest_state blob,
  stored_bytes bigint not null default 0,
  expired_at bigint,
  primary key (job_id, attempt, stream),
  foreign key (job_id, attempt) references machines (job_id, attempt) on delete cascade
);

CREATE TABLE machines (
  job_id text not null references jobs (id) on delete cascade,
  attempt integer not null,
  host_id text not null,
  backend text not null,
  state text not null,
  state_since_at bigint not null,
  bootstrap_token_hash text not null unique,
  session_token_hash text unique,
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
);

CREATE INDEX machines_by_host on machines (host_id, state);

CREATE TABLE outbox (
  job_id text primary key references jobs (id) on delete cascade,
  created_at bigint not null,
  claimed_by text,
  claimed_until bigint,
  published_at bigint
);

CREATE INDEX outbox_by_publication on outbox (published_at, created_at, job_id);

CREATE TABLE rejected_messages (
  id text primary key,
  received_at bigint not null,
  reason text not null,
  message text not null,
  request_id text,
  host_id text not null,
  body blob not null,
  body_bytes bigint not null,
  times integer not null
);

CREATE INDEX rejected_by_age on rejected_messages (received_at, id);

CREATE TABLE schema_migrations (
  name text primary key
);

CREATE TABLE steps (
  job_id text not null,
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
);

CREATE TABLE uploads (
  job_id text not null,
  attempt integer not null,
  id text not null,
  kind text not null,
  name text not null,
  size_bytes bigint not null,
  blob_key text not null,
  blob_host_id text,
  begun_at bigint not null,
  sha256 text,
  stored_at bigint,
  expired_at bigint,
  primary key (job_id, attempt, id),
  foreign key (job_id, attempt) references machines (job_id, attempt) on delete cascade
);

CREATE INDEX uploads_by_kind on uploads (kind, blob_host_id, expired_at, stored_at, size_bytes);
