import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sql } from "kysely";
import { isSolsticeError } from "../../core/errors.ts";
import { dumpSchema } from "../testing/dump-schema.ts";
import { createSqliteDatabase, openForTest } from "../testing/test-database.ts";
import { schemaState } from "./migrate.ts";
import { migrations } from "./migrations.ts";

test("schema.sql is the schema after all migrations", async (context) => {
  const store = await openForTest(context, createSqliteDatabase);
  const committed = readFileSync(new URL("./schema.sql", import.meta.url), "utf8");
  assert.equal(
    await dumpSchema(store),
    committed,
    "renew it: node src/store/testing/dump-schema.ts > src/store/schema/schema.sql",
  );
});

test("a database of a newer version is refused and not changed", async (context) => {
  const database = await createSqliteDatabase();
  context.after(() => database.remove());
  const store = await database.open();
  await sql`insert into schema_migrations (name) values ('9999_future')`.execute(store.db);
  await store.close();
  await assert.rejects(database.open(), { code: "store_failed", message: /9999_future/ });
});

test("a database of a version before the first release is refused with a remedy and not changed", async (context) => {
  const database = await createSqliteDatabase();
  context.after(() => database.remove());
  const store = await database.open();
  await sql`update schema_migrations set name = '0001_jobs'`.execute(store.db);
  await store.close();
  await assert.rejects(database.open(), (error) => {
    assert.ok(isSolsticeError(error, "store_failed"));
    assert.match(error.message, /made by a version before the first release \(0001_jobs\)/);
    assert.match(
      error.remedy ?? "",
      /jobs end with that version.*move the database away.*state\/solstice\.db/,
    );
    return true;
  });
});

test("the applied migrations decide the state of a database", () => {
  const known = ["0001_one", "0002_two"].map((name) => ({ name, statements: () => [] }));
  assert.equal(schemaState([], known), "empty");
  assert.equal(schemaState(["0001_one"], known), "older");
  assert.equal(schemaState(["0002_two", "0001_one"], known), "current");
  assert.throws(() => schemaState(["0001_one", "0003_three"], known), /newer schema \(0003_three\)/);
  assert.throws(() => schemaState(["0001_jobs", "0009_shown_requests"], known), /before the first release/);
});

test("opening again applies no migration twice", async (context) => {
  const database = await createSqliteDatabase();
  context.after(() => database.remove());
  await (await database.open()).close();
  const store = await database.open();
  context.after(() => store.close());
  const applied = await sql<{ name: string }>`select name from schema_migrations`.execute(store.db);
  assert.deepEqual(
    applied.rows.map((row) => row.name),
    migrations.map((migration) => migration.name),
  );
});
