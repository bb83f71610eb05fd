import { Client } from "pg";
import { SolsticeError } from "../../core/errors.ts";
import { schemaState } from "../schema/migrate.ts";
import { clientConfig, connectionsPerHost, databaseName } from "./connection.ts";
import { toStoreError } from "./errors.ts";

/** The oldest supported server, as `server_version_num`. */
const oldestVersion = 130_000;

/** Facts about a usable database, by {@link examinePostgres}. */
export interface PostgresExamination {
  /** Host, port and name, without user and password. */
  readonly database: string;
  /** The server's version, such as `15.6`. */
  readonly version: string;
  /** The first orchestrator that starts migrates an `empty` or `older` schema. */
  readonly schema: "empty" | "older" | "current";
  readonly encoding: string;
  /** Number of connections that users without special rights can still open. */
  readonly freeConnections: number;
  /** Number of connections that one orchestrator opens. */
  readonly connectionsPerHost: number;
}

/**
 * Checks whether an orchestrator could work with a database. Changes nothing. Throws `unavailable` when the database
 * does not answer, and `store_failed` with the remedy when it refuses, is too old or read-only, or the user lacks a
 * right.
 */
export async function examinePostgres(url: string): Promise<PostgresExamination> {
  const database = databaseName(url);
  const client = new Client(clientConfig(url, { bounded: true }));
  // Without a listener, a broken connection would end the process; the pending call gets the error as well.
  client.on("error", () => {});
  try {
    await client.connect();
    const facts = await readFacts(client);
    refuseUnusable(database, facts);
    const schema = schemaState(facts.hasSchema ? await readMigrations(client) : []);
    return {
      ...{ database, version: facts.version, schema, encoding: facts.encoding },
      ...{ freeConnections: facts.freeConnections, connectionsPerHost },
    };
  } catch (error) {
    throw toStoreError(database, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

interface Facts {
  readonly version: string;
  readonly versionNumber: number;
  readonly isStandby: boolean;
  readonly encoding: string;
  readonly user: string;
  /** Null: no schema of the search path exists, or the user has no right to use it. */
  readonly schemaName: string | null;
  readonly mayCreate: boolean;
  readonly hasSchema: boolean;
  /** True when the user may read and write the existing tables. */
  readonly mayUse: boolean;
  readonly freeConnections: number;
}

async function readFacts(client: Client): Promise<Facts> {
  const { rows } = await client.query<Facts>(`
select current_setting('server_version') as "version",
  current_setting('server_version_num')::int as "versionNumber",
  pg_is_in_recovery() as "isStandby",
  current_setting('server_encoding') as "encoding",
  current_user as "user",
  current_schema() as "schemaName",
  coalesce(has_schema_privilege(current_schema(), 'create'), false) as "mayCreate",
  to_regclass('schema_migrations') is not null as "hasSchema",
  coalesce(has_table_privilege(to_regclass('jobs'), 'select') and has_table_privilege(to_regclass('jobs'), 'insert')
    and has_table_privilege(to_regclass('jobs'), 'update') and has_table_privilege(to_regclass('jobs'), 'delete')
    and has_table_privilege(to_regclass('schema_migrations'), 'select'), true) as "mayUse",
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - (select count(*) from pg_stat_activity where backend_type = 'client backend')::int as "freeConnections"`);
  const [facts] = rows;
  if (facts === undefined) throw new Error("a select without a table gave no row");
  return facts;
}

async function readMigrations(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>("select name from schema_migrations");
  return rows.map(({ name }) => name);
}

function refuseUnusable(database: string, facts: Facts): void {
  if (facts.versionNumber < oldestVersion) {
    throw refusal(`The server of ${database} is PostgreSQL ${facts.version}.`, "Upgrade it to 13 or newer.");
  }
  if (facts.isStandby) {
    throw refusal(
      `The database ${database} is a read-only standby.`,
      "Set DATABASE_URL to the primary server.",
    );
  }
  // At a start `create table if not exists` runs for existing tables too, and PostgreSQL checks the right first.
  if (!facts.mayCreate) throw lackOfRights(database, facts, "create tables");
  if (!facts.mayUse) throw lackOfRights(database, facts, "use the tables");
}

function lackOfRights(database: string, { user, schemaName }: Facts, what: string): SolsticeError {
  const place = schemaName === null ? "any schema" : `the schema ${schemaName}`;
  return refusal(
    `The user ${user} may not ${what} in ${place} of ${database}.`,
    `Let the user own the database and the tables in it: alter database NAME owner to "${user}".`,
  );
}

function refusal(message: string, remedy: string): SolsticeError {
  return new SolsticeError("store_failed", message, { remedy });
}
