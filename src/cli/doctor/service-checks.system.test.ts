/** The checks of database and broker, against real ones in every state that a new operator may have. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { missingRabbitmq } from "../../../test/support/servers/private-rabbitmq.ts";
import {
  type SharedPostgres,
  type SharedRabbitmq,
  sharedPostgres,
  sharedRabbitmq,
} from "../../../test/support/servers/servers.ts";
import { until } from "../../../test/support/until.ts";
import type { AmqpConfig } from "../../config/orchestrator-config.ts";
import { openBroker } from "../../queue/rabbitmq.ts";
import { keepLog, testConfig } from "../../queue/testing/test-broker.ts";
import { openAt } from "../../store/testing/test-database.ts";
import { type CheckResult, runCheck } from "./check.ts";
import { serviceChecks } from "./service-checks.ts";

/** An address without a listener: port 1. */
const closedAddress = "127.0.0.1:1";
const secret = "s3cret";

async function checked(settings: { databaseUrl?: string; amqp?: AmqpConfig }): Promise<CheckResult> {
  const [check, ...others] = serviceChecks({ databaseUrl: null, amqp: null, ...settings });
  assert.ok(check && others.length === 0);
  const result = await runCheck(check);
  assert.doesNotMatch(JSON.stringify(result), new RegExp(secret));
  return result;
}

test("a service that is not configured is not checked", () => {
  assert.deepEqual(serviceChecks({ databaseUrl: null, amqp: null }), []);
});

describe("PostgreSQL", () => {
  let server: SharedPostgres;
  before(async () => {
    server = await sharedPostgres();
  });
  after(() => server.stop());

  async function administer(url: string, ...statements: string[]): Promise<void> {
    const client = new Client({ connectionString: url });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  }

  async function migrated(): Promise<string> {
    const url = await server.createDatabase();
    const store = await openAt(url);
    await store.close();
    return url;
  }

  function asUser(url: string, user: string): string {
    const changed = new URL(url);
    changed.username = user;
    changed.password = secret;
    return changed.href;
  }

  test("a new database, and a database with tables, are ok and are not changed", async () => {
    const empty = await server.createDatabase();
    for (let round = 0; round < 2; round += 1) {
      const found = await checked({ databaseUrl: empty });
      assert.equal(found.status, "ok");
      assert.match(found.detail, /^127\.0\.0\.1:\d+\/test_\w+ \(PostgreSQL \d+.*no tables yet/);
    }
    assert.match((await checked({ databaseUrl: await migrated() })).detail, /up to date/);
  });

  test("a server that does not answer, or lacks the database, has a remedy", async () => {
    const away = await checked({ databaseUrl: `postgres://solstice:${secret}@${closedAddress}/solstice` });
    assert.equal(away.status, "fail");
    assert.match(away.remedy ?? "", /PostgreSQL server runs and that DATABASE_URL names it/);
    const absent = await checked({ databaseUrl: server.url("absent") });
    assert.match(absent.remedy ?? "", /createdb/);
  });

  test("a user who may not create or use tables is named, with the missing right", async () => {
    const [empty, used] = [await server.createDatabase(), await migrated()];
    // Roles belong to the server, which may be shared.
    const stranger = `stranger_${randomUUID().slice(0, 8)}`;
    await administer(empty, `create role ${stranger} login`, "revoke create on schema public from public");
    const creating = await checked({ databaseUrl: asUser(empty, stranger) });
    assert.match(creating.detail, new RegExp(`user ${stranger} may not create tables in the schema public`));
    await administer(used, `grant create on schema public to ${stranger}`);
    const using = await checked({ databaseUrl: asUser(used, stranger) });
    assert.deepEqual([using.status, /may not use the tables/.test(using.detail)], ["fail", true]);
    assert.match(using.remedy ?? "", new RegExp(`owner to "${stranger}"`));
  });

  test("another encoding or another schema version is reported", async () => {
    const latin = await server.createDatabase("encoding 'LATIN1' locale 'C' template template0");
    assert.match((await checked({ databaseUrl: latin })).detail, /encoding is LATIN1/);
    const newer = await migrated();
    await administer(newer, "insert into schema_migrations (name) values ('9999_future')");
    assert.match((await checked({ databaseUrl: newer })).detail, /newer schema \(9999_future\)/);
    await administer(newer, "update schema_migrations set name = '0001_jobs' where name <> '9999_future'");
    const unreleased = await checked({ databaseUrl: newer });
    assert.match(unreleased.detail, /made by a version before the first release/);
    assert.match(unreleased.remedy ?? "", /set DATABASE_URL to an empty one/);
  });
});

describe("RabbitMQ", { skip: missingRabbitmq() }, () => {
  let rabbit: SharedRabbitmq;
  before(async () => {
    rabbit = await sharedRabbitmq();
  });
  after(() => rabbit.stop());

  async function declared(config: AmqpConfig): Promise<void> {
    const broker = openBroker({ ...config, log: keepLog() });
    broker.consume(async () => ({ kind: "accepted" }));
    await until(
      "the queue is bound and consumed",
      async () => (await rabbit.queueState(config.queue))?.consumers === 1,
    );
    await broker.close();
  }

  test("a new broker is not changed; a broker with all exchanges and queues is ok", async () => {
    const config = testConfig(rabbit.url);
    for (let round = 0; round < 2; round += 1) {
      const found = await checked({ amqp: config });
      assert.equal(found.status, "ok");
      assert.match(
        found.detail,
        new RegExp(`will declare: exchange ${config.exchange}, .*queue ${config.queue}`),
      );
    }
    await declared(config);
    assert.match((await checked({ amqp: config })).detail, /are as Solstice declares them/);
  });

  test("a broker that does not answer, or refuses the password, has a remedy", async () => {
    for (const place of [closedAddress, `127.0.0.1:${new URL(rabbit.url).port}`]) {
      const found = await checked({ amqp: testConfig(`amqp://guest:${secret}@${place}`) });
      assert.equal(found.status, "fail");
      assert.match(found.remedy ?? "", /Check that it runs, and AMQP_URL/);
    }
  });

  test("a queue with other properties, or a user without rights, is named with a remedy", async () => {
    const config = testConfig(rabbit.url);
    await declared(config);
    // The queue of results has other arguments than the queue of requests.
    const clash = await checked({ amqp: { ...config, queue: `${config.exchange}.results` } });
    assert.equal(clash.status, "fail");
    assert.match(clash.remedy ?? "", new RegExp(`rabbitmqctl delete_queue ${config.exchange}.results`));
    const refused = await checked({ amqp: { ...config, url: rabbit.urlWithoutRights } });
    assert.equal(refused.status, "fail");
    assert.match(refused.remedy ?? "", /set_permissions/);
  });
});
