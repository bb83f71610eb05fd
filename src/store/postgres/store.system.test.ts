import { after } from "node:test";
import { storeContract } from "../testing/contract.ts";
import { startPrivatePostgres } from "../testing/private-postgres.ts";
import { createPostgresDatabase } from "../testing/test-database.ts";

const server = await startPrivatePostgres();
after(() => server.stop());

storeContract("PostgreSQL", () => createPostgresDatabase(server));
