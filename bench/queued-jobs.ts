import { randomUUID } from "node:crypto";
import { Client } from "pg";
import type { Bench } from "./bench.ts";
import { noopFlags, noopImageMap, startDaemon } from "./daemon.ts";

/**
 * Creates a database with `count` queued jobs, and returns its URL. A real orchestrator that may start no job accepts one job,
 * which is then copied: accepting 100,000 jobs one by one would take longer than all measurements.
 */
export async function createQueuedJobs(bench: Bench, count: number): Promise<string> {
  const url = await (await bench.database()).createDatabase();
  const flags = [...noopFlags(1), "--capacity-map", "any=0", "--database-url", url];
  const daemon = await startDaemon(bench, { imageMap: noopImageMap, flags });
  try {
    await daemon.api.submit({ jobRequestJson: JSON.stringify(exampleRequest()) });
  } finally {
    await daemon.kill();
  }
  await withDatabase(url, async (client) => {
    await client.query(copyJobs, [count - 1]);
    await client.query(copyTransitions);
    await client.query("analyze");
  });
  return url;
}

/** Runs `work` with a new connection. */
export async function withDatabase<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function exampleRequest(): object {
  return { request_id: randomUUID(), source: "bench", repo_owner: "bench", repo_name: "one", script: "true" };
}

/** Copies all columns of the first job, except those that must differ. The jobs belong to twenty repositories. */
const copyJobs = `
  insert into jobs
  select (jsonb_populate_record(template, jsonb_build_object(
    'id', lpad(to_hex(number), 12, '0'),
    'request_id', gen_random_uuid(),
    'fair_key', 'bench/' || number % 20,
    'submitted_at', template.submitted_at + number
  ))).*
  from jobs template, generate_series(1, $1::int) number`;

const copyTransitions = `
  insert into job_transitions
  select (jsonb_populate_record(template, jsonb_build_object('job_id', jobs.id))).*
  from job_transitions template, jobs
  where jobs.id <> template.job_id`;
