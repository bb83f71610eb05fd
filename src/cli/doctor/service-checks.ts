import type { AmqpConfig, OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { type Check, type Finding, ok, warn } from "./check.ts";

/** Whether the database and the broker that the configuration names, if any, can be used. Clients are loaded only then. */
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
  older: "an older schema: the first orchestrator upgrades it, so back it up before",
  current: "the schema is up to date",
} as const;

async function checkDatabase(url: string): Promise<Finding> {
  const { examinePostgres } = await import("../../store/postgres/examine.ts");
  const seen = await examinePostgres(url);
  const { freeConnections, connectionsPerHost } = seen;
  const detail = `${seen.database} (PostgreSQL ${seen.version}): ${schemaTexts[seen.schema]}.`;
  if (seen.encoding !== "UTF8") {
    return warn(
      `${detail} Its encoding is ${seen.encoding}: what it cannot write fails.`,
      "Create it again: createdb --owner USER --encoding UTF8 --template template0 NAME",
    );
  }
  if (freeConnections >= connectionsPerHost) return ok(detail);
  return warn(
    `${detail} ${freeConnections} connections are free, and each orchestrator takes ${connectionsPerHost}.`,
    "Unless this host's is among those that run: raise max_connections of the server.",
  );
}

async function checkBroker(config: AmqpConfig): Promise<Finding> {
  const { examineBroker } = await import("../../queue/examine-broker.ts");
  const { shownUrl, missing } = await examineBroker(config);
  if (missing.length === 0) return ok(`${shownUrl}: exchanges and queues are as Solstice declares them.`);
  return ok(`${shownUrl} answers; the first orchestrator will declare: ${missing.join(", ")}.`);
}
