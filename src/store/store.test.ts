import { storeContract } from "./testing/contract.ts";
import { createSqliteDatabase } from "./testing/test-database.ts";

storeContract("SQLite", createSqliteDatabase);
