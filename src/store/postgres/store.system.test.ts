import { after } from "node:test";
import { startPrivatePostgres } from "../../../test/support/private-postgres.ts";
import { storeContract } from "../testing/contract.ts";
import { createPostgresDatabase } from "../testing/test-database.ts";

const server = await startPrivatePostgres();
after(() => server.stop());

storeContract("PostgreSQL", () => createPostgresDatabase(server));
