import { once } from "node:events";
import { migrations } from "../schema/migrations.ts";
import { openAt } from "./test-database.ts";

/** A migration that fails when it is applied twice, and takes long enough for another process to interfere. */
const madeUp = {
  name: "9000_made_up",
  statements: () => [
    `create table made_up as with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 500000)
  select n from numbers`,
  ],
};

/**
 * A program for the test of migrations: `migrate-further.ts PATH-OR-URL` prints `ready`, waits for a line, and then
 * opens the database like a version with one more migration. Prints `opened` when that has succeeded.
 */
process.stdout.write("ready\n");
await once(process.stdin, "data");
const store = await openAt(process.argv[2] ?? "", { migrations: [...migrations, madeUp] });
process.stdout.write("opened\n");
await store.close();
process.stdin.destroy();
