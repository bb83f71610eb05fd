import type { AmqpConfig, OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { type Check, type Finding, ok, warn } from "./check.ts";

/** Checks the database and the broker that the configuration names, if any. Their clients are loaded only then. */
export function serviceChecks({
  databaseUrl: url,
  amqp,
}: Pick<OrchestratorConfig, "databaseUrl" | "amqp">): Check[] {
  return [
    ...(url === null ? [] : [{ name: "PostgreSQL", run: () => checkDatabase(url) }]),
    ...(amqp === null ? [] : [{ name: "RabbitMQ", run: () => checkBroker(amqp) }]),
  ];
}

const schemaTexts = {
  empty: "no tables yet: the first orchestrator creates them",
  older: "an older schema: the first orchestrator upgrades it, so back up the database first",
  current: "the schema is up to date",
} as const;

async function checkDatabase(url: string): Promise<Finding> {
  const { examinePostgres } = await import("../../store/postgres/examine.ts");
  const seen = await examinePostgres(url);
  const { freeConnections, connectionsPerHost } = seen;
  const detail = `${seen.database} (PostgreSQL ${seen.version}): ${schemaTexts[seen.schema]}.`;
  if (seen.encoding !== "UTF8") {
    return warn(
      `${detail} The encoding is ${seen.encoding}: text outside of this encoding cannot be stored.`,
      "Create the database again: createdb --owner USER --encoding UTF8 --template template0 NAME",
    );
  }
  if (freeConnections >= connectionsPerHost) return ok(detail);
  return warn(
    `${detail} ${freeConnections} connections are free, but each orchestrator needs ${connectionsPerHost}.`,
    "Raise max_connections of the server, unless this host's orchestrator runs already.",
  );
}

async function checkBroker(config: AmqpConfig): Promise<Finding> {
  const { examineBroker } = await import("../../queue/examine-broker.ts");
  const { shownUrl, missing } = await examineBroker(config);
  if (missing.length === 0) return ok(`${shownUrl}: exchanges and queues are as Solstice declares them.`);
  return ok(`${shownUrl} answers; the first orchestrator will declare: ${missing.join(", ")}.`);
}
