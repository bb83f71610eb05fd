import { after } from "node:test";
import { sharedPostgres } from "../../../test/support/servers/servers.ts";
import { storeContract } from "../testing/contract.ts";
import { createPostgresDatabase, reusePostgresDatabases } from "../testing/test-database.ts";

const server = await sharedPostgres();
after(() => server.stop());

storeContract("PostgreSQL", reusePostgresDatabases(server), () => createPostgresDatabase(server));
