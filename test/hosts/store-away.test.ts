/** Tests what probes and users see of an orchestrator whose database is unavailable, or accepts no writes. */
import assert from "node:assert/strict";
import { after, type TestContext, test } from "node:test";
import pg from "pg";
import { makeSetup, type OrchestratorProcess, startOrchestrator } from "../support/orchestrator.ts";
import { startPrivatePostgres } from "../support/servers/private-postgres.ts";
import { until } from "../support/until.ts";

const database = await startPrivatePostgres();
after(() => database.stop());

async function start(context: TestContext, url: string): Promise<OrchestratorProcess> {
  const imageMap = "default_label: any\nimages:\n  any: { local_path: /nonexistent/any.img }\n";
  const flags = ["--hypervisor", "noop", "--runner-listen", "127.0.0.1:0", "--lease-timeout", "3s"];
  return startOrchestrator(makeSetup(context, imageMap, [...flags, "--database-url", url]));
}

interface Readiness {
  readonly ready: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean }[];
}

async function readiness({ apiUrl }: OrchestratorProcess): Promise<Readiness> {
  return (await (await fetch(`${apiUrl}/readyz`)).json()) as Readiness;
}

/** Waits until `isEnough` returns true for the names of the failing checks. */
async function untilFailing(
  orchestrator: OrchestratorProcess,
  isEnough: (names: readonly string[]) => boolean,
): Promise<void> {
  let failing: string[] = [];
  try {
    await until("the checks fail that should", async () => {
      const { checks } = await readiness(orchestrator);
      failing = checks.filter((check) => !check.ok).map((check) => check.name);
      return isEnough(failing);
    });
  } catch (error) {
    throw new Error(`failing: ${failing.join(", ")}\n${orchestrator.log()}`, { cause: error });
  }
}

test("metrics are served while the database is unavailable, without those that need it", async (context) => {
  const orchestrator = await start(context, await database.createDatabase());
  const metrics = async () => {
    const response = await fetch(`${orchestrator.apiUrl}/metrics`);
    assert.equal(response.status, 200);
    return response.text();
  };
  const before = await metrics();
  assert.match(before, /^solstice_store_up 1$/m);
  assert.match(before, /^solstice_jobs\{state="queued"\} 0$/m);
  await database.kill();
  const away = await metrics();
  await untilFailing(orchestrator, (names) => names.includes("store") && names.includes("lease"));
  await database.start();
  assert.match(away, /^solstice_store_up 0$/m);
  assert.doesNotMatch(away, /^solstice_jobs\{/m);
  assert.match(away, /^solstice_disk_free_bytes [1-9]/m);
  await untilFailing(orchestrator, (names) => names.length === 0);
  assert.match(await metrics(), /^solstice_store_up 1$/m);
});

test("a database that can be read but not written is not ready", async (context) => {
  const url = await database.createDatabase();
  const orchestrator = await start(context, url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  context.after(() => client.end());
  const setReadOnly = async (value: "on" | "off") => {
    await client.query("set transaction_read_only = off");
    await client.query(
      `do $$ begin execute format('alter database %I set default_transaction_read_only = ${value}', current_database()); end $$`,
    );
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
  };
  await setReadOnly("on");
  await untilFailing(orchestrator, (names) => names.join() === "lease");
  await setReadOnly("off");
  await untilFailing(orchestrator, (names) => names.length === 0);
});
