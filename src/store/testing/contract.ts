import { describe } from "node:test";
import { auditContract } from "./audit-contract.ts";
import { cachesContract } from "./caches-contract.ts";
import { holdsContract } from "./holds-contract.ts";
import { hostsContract } from "./hosts-contract.ts";
import { jobChangesContract } from "./job-changes-contract.ts";
import { jobQueriesContract } from "./job-queries-contract.ts";
import { jobsContract } from "./jobs-contract.ts";
import { logsContract } from "./logs-contract.ts";
import { machinesContract } from "./machines-contract.ts";
import { outboxContract } from "./outbox-contract.ts";
import { processesContract } from "./processes-contract.ts";
import { rejectedContract } from "./rejected-contract.ts";
import { retentionContract } from "./retention-contract.ts";
import type { CreateDatabase } from "./test-database.ts";
import { uploadsContract } from "./uploads-contract.ts";

/**
 * The behaviour of every store, on any database. `create` returns an empty database, which may have its tables already;
 * `createNew` returns one that no store has opened before.
 */
export function storeContract(name: string, create: CreateDatabase, createNew = create): void {
  describe(`store on ${name}`, () => {
    jobsContract(create);
    jobQueriesContract(create);
    jobChangesContract(create);
    machinesContract(create);
    logsContract(create);
    retentionContract(create);
    holdsContract(create);
    hostsContract(create);
    auditContract(create);
    outboxContract(create);
    rejectedContract(create);
    uploadsContract(create);
    cachesContract(create);
    processesContract(create, createNew);
  });
}
