import assert from "node:assert/strict";
import { after, type TestContext, test } from "node:test";
import { Client } from "pg";
import { Connection } from "rabbitmq-client";
import { missingRabbitmq } from "./private-rabbitmq.ts";
import { hasServersOfRun, type RunServers, sharedPostgres, sharedRabbitmq, startServers } from "./servers.ts";

const run: RunServers = hasServersOfRun()
  ? { environment: process.env as Record<string, string>, stop: async () => {} }
  : await startServers();
after(() => run.stop());

test("files share one PostgreSQL; each has its own databases, which are removed when the file ends", async (context) => {
  const [one, two] = await Promise.all([sharedPostgres(run.environment), sharedPostgres(run.environment)]);
  context.after(() => two.stop());
  const urls = await Promise.all([one, two, one].map((file) => file.createDatabase()));
  assert.equal(new Set(urls).size, 3);
  assert.equal(new Set(urls.map((url) => new URL(url).host)).size, 1);
  await one.stop();
  const names = urls.map((url) => new URL(url).pathname.slice(1));
  assert.deepEqual(await existing(two.url("postgres"), names), [names[1]]);
});

async function existing(url: string, names: readonly string[]): Promise<string[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query("select datname from pg_database where datname = any($1)", [names]);
  await client.end();
  return rows.map(({ datname }) => datname);
}

test("files share one RabbitMQ, and a queue of one file is not visible to another", {
  skip: missingRabbitmq(),
}, async (context) => {
  const [one, two] = await Promise.all([sharedRabbitmq(run.environment), sharedRabbitmq(run.environment)]);
  assert.equal(new URL(one.url).host, new URL(two.url).host);
  const connect = (url: string) => openConnection(context, url);
  const queue = { queue: "mine", durable: true };
  await connect(one.url).queueDeclare(queue);
  await connect(one.url).queueDeclare({ ...queue, passive: true });
  await assert.rejects(connect(two.url).queueDeclare({ ...queue, passive: true }), { code: "NOT_FOUND" });
  await assert.rejects(connect(one.urlWithoutRights).queueDeclare({ queue: "other" }), {
    code: "ACCESS_REFUSED",
  });
});

function openConnection(context: TestContext, url: string): Connection {
  const connection = new Connection({ url, retryLow: 50, retryHigh: 200 });
  connection.on("error", () => undefined);
  context.after(() => connection.close());
  return connection;
}
