import type { SchemaDialect } from "../schema/dialect.ts";

/** The tables of caches: what is kept, and what each attempt of a job did with it. */
export function createCacheTables({ keyType }: SchemaDialect): string[] {
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
