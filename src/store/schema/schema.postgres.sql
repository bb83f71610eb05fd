-- The schema after all migrations, on PostgreSQL. A test compares this file with the database; it is never run.

create table cache_entries (
  id text collate "C" not null,
  place text collate "C" not null,
  repository text collate "C" not null,
  image text collate "C" not null,
  ref text collate "C" not null,
  paths_id text collate "C" not null,
  cache_key text collate "C" not null,
  size_bytes bigint not null,
  sha256 text not null,
  compression text not null,
  first_part_bytes bigint not null,
  blob_key text collate "C" not null,
  job_id text not null,
  created_at bigint not null,
  last_used_at bigint not null,
  uses bigint not null default 0,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX cache_entries_by_blob ON public.cache_entries USING btree (blob_key);
CREATE UNIQUE INDEX cache_entries_by_key ON public.cache_entries USING btree (repository, image, paths_id, place, ref, cache_key);
CREATE INDEX cache_entries_by_use ON public.cache_entries USING btree (place, last_used_at, id);
CREATE UNIQUE INDEX cache_entries_pkey ON public.cache_entries USING btree (id);

create table cache_uses (
  job_id text collate "C" not null,
  attempt integer not null,
  cache_index integer not null,
  action text collate "C" not null,
  outcome text not null,
  cache_key text not null,
  entry_id text collate "C",
  size_bytes bigint not null,
  at bigint not null,
  PRIMARY KEY (job_id, attempt, cache_index, action),
  FOREIGN KEY (job_id, attempt) REFERENCES machines(job_id, attempt) ON DELETE CASCADE
);
CREATE INDEX cache_uses_by_entry ON public.cache_uses USING btree (entry_id, job_id);
CREATE UNIQUE INDEX cache_uses_pkey ON public.cache_uses USING btree (job_id, attempt, cache_index, action);

create table hosts (
  id text collate "C" not null,
  renewals bigint not null,
  renewed_at bigint not null,
  registered_at bigint not null,
  lost_at bigint,
  facts text not null,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX hosts_pkey ON public.hosts USING btree (id);

create table job_transitions (
  job_id text collate "C" not null,
  attempt integer not null,
  to_state text collate "C" not null,
  from_state text,
  at bigint not null,
  host_id text,
  reason text,
  PRIMARY KEY (job_id, attempt, to_state),
  FOREIGN KEY (job_id) REFERENCES jobs(id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX job_transitions_pkey ON public.job_transitions USING btree (job_id, attempt, to_state);

create table jobs (
  id text collate "C" not null,
  request_id text collate "C" not null,
  request text not null,
  state text collate "C" not null,
  state_since_at bigint not null,
  image text collate "C" not null,
  label text collate "C" not null,
  cpu integer not null,
  ram_mb integer not null,
  disk_gb integer not null,
  fair_key text collate "C" not null,
  priority integer not null,
  timeout_seconds integer not null,
  attempt integer not null,
  max_attempts integer not null,
  host_id text collate "C",
  cancel_requested_at bigint,
  cancel_now_at bigint,
  retry_of text collate "C",
  verdict_reason text,
  verdict_message text,
  verdict_exit_code integer,
  submitted_at bigint not null,
  claimed_at bigint,
  finished_at bigint,
  source text not null,
  repo_url text,
  commit_sha text,
  ref text,
  UNIQUE (request_id),
  PRIMARY KEY (id)
);
CREATE INDEX jobs_by_age ON public.jobs USING btree (submitted_at, id);
CREATE INDEX jobs_by_duration ON public.jobs USING btree (label, state, finished_at);
CREATE INDEX jobs_by_end ON public.jobs USING btree (finished_at, id);
CREATE INDEX jobs_by_host ON public.jobs USING btree (host_id, state, submitted_at, id);
CREATE INDEX jobs_by_lane ON public.jobs USING btree (state, label, image, fair_key, priority, submitted_at, id);
CREATE INDEX jobs_by_retry ON public.jobs USING btree (retry_of, submitted_at, id) WHERE (retry_of IS NOT NULL);
CREATE INDEX jobs_by_state ON public.jobs USING btree (state, submitted_at, id);
CREATE UNIQUE INDEX jobs_pkey ON public.jobs USING btree (id);
CREATE UNIQUE INDEX jobs_request_id_key ON public.jobs USING btree (request_id);

create table log_chunks (
  job_id text collate "C" not null,
  attempt integer not null,
  stream text collate "C" not null,
  start_offset bigint not null,
  length integer not null,
  encoding text not null,
  data bytea not null,
  PRIMARY KEY (job_id, attempt, stream, start_offset),
  FOREIGN KEY (job_id, attempt, stream) REFERENCES logs(job_id, attempt, stream) ON DELETE CASCADE
);
CREATE UNIQUE INDEX log_chunks_pkey ON public.log_chunks USING btree (job_id, attempt, stream, start_offset);

create table logs (
  job_id text collate "C" not null,
  attempt integer not null,
  stream text collate "C" not null,
  received bigint not null,
  dropped_from bigint,
  dropped_to bigint,
  sha256 text,
  digest_state bytea,
  stored_bytes bigint not null default 0,
  expired_at bigint,
  PRIMARY KEY (job_id, attempt, stream),
  FOREIGN KEY (job_id, attempt) REFERENCES machines(job_id, attempt) ON DELETE CASCADE
);
CREATE UNIQUE INDEX logs_pkey ON public.logs USING btree (job_id, attempt, stream);

create table machines (
  job_id text collate "C" not null,
  attempt integer not null,
  host_id text collate "C" not null,
  backend text not null,
  state text collate "C" not null,
  state_since_at bigint not null,
  bootstrap_token_hash text collate "C" not null,
  session_token_hash text collate "C",
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
  UNIQUE (bootstrap_token_hash),
  UNIQUE (session_token_hash),
  PRIMARY KEY (job_id, attempt),
  FOREIGN KEY (job_id) REFERENCES jobs(id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX machines_bootstrap_token_hash_key ON public.machines USING btree (bootstrap_token_hash);
CREATE INDEX machines_by_host ON public.machines USING btree (host_id, state);
CREATE UNIQUE INDEX machines_pkey ON public.machines USING btree (job_id, attempt);
CREATE UNIQUE INDEX machines_session_token_hash_key ON public.machines USING btree (session_token_hash);

create table outbox (
  job_id text collate "C" not null,
  created_at bigint not null,
  claimed_by text,
  claimed_until bigint,
  published_at bigint,
  PRIMARY KEY (job_id),
  FOREIGN KEY (job_id) REFERENCES jobs(id) ON DELETE CASCADE
);
CREATE INDEX outbox_by_publication ON public.outbox USING btree (published_at, created_at, job_id);
CREATE UNIQUE INDEX outbox_pkey ON public.outbox USING btree (job_id);

create table rejected_messages (
  id text collate "C" not null,
  received_at bigint not null,
  reason text not null,
  message text not null,
  request_id text,
  host_id text not null,
  body bytea not null,
  body_bytes bigint not null,
  times integer not null,
  PRIMARY KEY (id)
);
CREATE INDEX rejected_by_age ON public.rejected_messages USING btree (received_at, id);
CREATE UNIQUE INDEX rejected_messages_pkey ON public.rejected_messages USING btree (id);

create table schema_migrations (
  name text not null,
  PRIMARY KEY (name)
);
CREATE UNIQUE INDEX schema_migrations_pkey ON public.schema_migrations USING btree (name);

create table steps (
  job_id text collate "C" not null,
  attempt integer not null,
  step_index integer not null,
  name text not null,
  state text not null,
  exit_code integer,
  started_at bigint,
  finished_at bigint,
  log_start bigint,
  log_end bigint,
  PRIMARY KEY (job_id, attempt, step_index),
  FOREIGN KEY (job_id, attempt) REFERENCES machines(job_id, attempt) ON DELETE CASCADE
);
CREATE UNIQUE INDEX steps_pkey ON public.steps USING btree (job_id, attempt, step_index);

create table uploads (
  job_id text collate "C" not null,
  attempt integer not null,
  id text collate "C" not null,
  kind text collate "C" not null,
  name text not null,
  size_bytes bigint not null,
  blob_key text collate "C" not null,
  blob_host_id text collate "C",
  begun_at bigint not null,
  sha256 text,
  stored_at bigint,
  expired_at bigint,
  PRIMARY KEY (job_id, attempt, id),
  FOREIGN KEY (job_id, attempt) REFERENCES machines(job_id, attempt) ON DELETE CASCADE
);
CREATE INDEX uploads_by_kind ON public.uploads USING btree (kind, blob_host_id, expired_at, stored_at, size_bytes);
CREATE UNIQUE INDEX uploads_pkey ON public.uploads USING btree (job_id, attempt, id);
