import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readStoreInventory } from "../hosts/audit.ts";
import { insertJob } from "../jobs/jobs.ts";
import { setMachineState } from "../jobs/machines.ts";
import { claim, end, hostId, insertClaimed, newJob } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

/** The data that an audit of one host reads. */
export function auditContract(create: CreateDatabase): void {
  describe("the store's inventory", () => {
    test("has the active jobs of this host, the requested jobs and this host's machines, and nothing else", async (context) => {
      const store = await openForTest(context, create);
      await insertClaimed(store, "active");
      await insertClaimed(store, "ended");
      await end(store, "ended", "completed");
      await setMachineState(store, { jobId: "ended", attempt: 1, state: "gone", at: 9000 });
      await insertJob(store, newJob("waiting"));
      await insertJob(store, newJob("unrequested"));
      const inventory = await readStoreInventory(store, {
        ...{ hostId, jobIds: ["waiting", "unknown"], loggedJobIds: ["ended", "waiting", "nobody"] },
      });
      assert.deepEqual([...inventory.jobs.keys()].toSorted(), ["active", "ended", "waiting"]);
      assert.deepEqual(inventory.jobs.get("active"), {
        ...{ id: "active", state: "provisioning", attempt: 1, hostId, hasMachine: true },
      });
      assert.deepEqual(inventory.machines, [{ jobId: "active", attempt: 1 }]);
      assert.deepEqual([...inventory.ranHere], ["ended"]);
    });

    test("for another host it has only the requested jobs", async (context) => {
      const store = await openForTest(context, create);
      await insertClaimed(store, "theirs");
      const query = { hostId: "host-b", loggedJobIds: [] };
      const nothing = await readStoreInventory(store, { ...query, jobIds: [] });
      assert.deepEqual([nothing.jobs.size, nothing.machines.length], [0, 0]);
      const inventory = await readStoreInventory(store, { ...query, jobIds: ["theirs"] });
      assert.equal(inventory.jobs.get("theirs")?.hostId, hostId);
    });

    test("finds a missing machine, and reads more jobs than fit into one query", async (context) => {
      const store = await openForTest(context, create);
      const jobIds = Array.from({ length: 501 }, (_, index) => `job${String(index).padStart(3, "0")}`);
      for (const jobId of jobIds) await insertJob(store, newJob(jobId));
      await claim(store, "job500");
      await store.db.deleteFrom("steps").execute();
      await store.db.deleteFrom("machines").execute();
      const inventory = await readStoreInventory(store, { hostId, jobIds, loggedJobIds: jobIds });
      assert.equal(inventory.jobs.size, 501);
      assert.equal(inventory.jobs.get("job500")?.hasMachine, false);
      assert.equal(inventory.ranHere.size, 0);
    });
  });
}
