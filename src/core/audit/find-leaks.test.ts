import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { confirmLeaks, findLeaks } from "./find-leaks.ts";
import { emptyGuestInventory, type Inventories } from "./inventories.ts";
import type { Leak } from "./leak.ts";
import { leakKey } from "./leak.ts";
import { holds } from "./ownership.ts";
import { arbitraryHost, buildInventories, inventoriesOf, planted } from "./testing/inventories.ts";
import { repairOnPaper } from "./testing/repair-on-paper.ts";

const hostId = "here";

function keys(leaks: readonly Leak[]): string[] {
  return leaks.map(({ kind, name }) => `${kind} ${name}`).toSorted();
}

test("a host in order, in every state of a job, has no leaks", () => {
  for (const state of ["provisioning", "booting", "running", "finalizing"] as const) {
    const inventories = buildInventories([{ case: "healthy", jobId: "aaaa", state }]);
    assert.deepEqual(findLeaks(inventories), [], state);
  }
});

test("every planted difference is found, with its job, and nothing else", () => {
  fc.assert(
    fc.property(arbitraryHost, (host) => {
      assert.deepEqual(keys(findLeaks(buildInventories(host))), planted(host).toSorted());
    }),
  );
});

test("the remedy `remove` is never for things that an active job of this host owns, or for held or young files", () => {
  fc.assert(
    fc.property(arbitraryHost, (host) => {
      const inventories = buildInventories(host);
      for (const leak of findLeaks(inventories).filter(({ remedy }) => remedy === "remove")) {
        const job = inventories.store.jobs.get(leak.jobId ?? "");
        const attempt = inventories.guestInventory.domains.find(({ jobId }) => jobId === leak.jobId)?.attempt;
        assert.ok(!holds(hostId, job, attempt), leakKey(leak));
        const file = inventories.temporary.find(({ path }) => path === leak.name);
        assert.ok(!file?.isHeld, leakKey(leak));
      }
    }),
  );
});

test("applying the remedies leaves only leaks without an automatic repair", () => {
  fc.assert(
    fc.property(arbitraryHost, (host) => {
      const before = buildInventories(host);
      const repaired = findLeaks(before).reduce<Inventories>(repairOnPaper, before);
      for (const { remedy } of findLeaks(repaired)) assert.match(remedy, /^(none|by_hand|adopt)$/);
    }),
  );
});

test("every cause is a sentence, and names the host that took a job over", () => {
  const leaks = findLeaks(buildInventories([{ case: "guest of another host's job", jobId: "aaaa" }]));
  assert.match(leaks[0]?.cause ?? "", /taken over by host elsewhere/);
  fc.assert(
    fc.property(arbitraryHost, (host) => {
      for (const { cause } of findLeaks(buildInventories(host))) assert.match(cause, /^[A-Z].{20,}\S$/s);
    }),
  );
});

test("a guest that disappeared is no leak while an orchestrator drives the jobs", () => {
  const host = [{ case: "machine lost its guest", jobId: "aaaa" }] as const;
  assert.deepEqual(keys(findLeaks(buildInventories(host))), ["machine_without_guest job-aaaa/1"]);
  assert.deepEqual(findLeaks({ ...buildInventories(host), isDriven: true }), []);
});

test("a log is ours only if the store records that its job ran here", () => {
  const log = { path: "/var/log/job-aaaa.log", jobId: "aaaa" };
  const inventories = inventoriesOf({ guestInventory: { ...emptyGuestInventory, logs: [log] } });
  assert.deepEqual(findLeaks(inventories), []);
  const recorded = { ...inventories, store: { ...inventories.store, ranHere: new Set(["aaaa"]) } };
  assert.deepEqual(keys(findLeaks(recorded)), ["stale_temporary_file /var/log/job-aaaa.log"]);
});

test("an interface is reported only while every guest's card is recorded", () => {
  const card = { name: "vnet7", macAddress: "52:54:01:02:03:04", command: "ip -d link show vnet7" };
  const guestInventory = { ...emptyGuestInventory, interfaces: [card] };
  const [leak] = findLeaks(inventoriesOf({ guestInventory }));
  assert.equal(`${leak?.kind} ${leak?.name}`, "interface_without_guest vnet7");
  assert.match(leak?.cause ?? "", /ip -d link show vnet7$/, "each backend gives the command to inspect it");
  const healthy = buildInventories([{ case: "healthy", jobId: "aaaa", state: "running" }]);
  const unrecorded = healthy.guestInventory.directories.map((directory) => ({
    ...directory,
    macAddress: null,
  }));
  const withUnrecorded = { ...healthy.guestInventory, directories: unrecorded, interfaces: [card] };
  assert.deepEqual(findLeaks({ ...healthy, guestInventory: withUnrecorded }), []);
});

test("an expired lease is no leak", () => {
  const lease = { macAddress: "52:54:01:02:03:04", address: "192.0.2.7", expiresAt: 2000 };
  const guestInventory = { ...emptyGuestInventory, leases: [lease] };
  assert.equal(findLeaks(inventoriesOf({ guestInventory, now: 2000 })).length, 0);
  assert.equal(findLeaks(inventoriesOf({ guestInventory, now: 1999 })).length, 1);
});

test("a leak that only one of two audits found is dropped", () => {
  const leak = (name: string): Leak => ({
    ...{ kind: "guest_without_job", name, jobId: "aaaa", cause: "first", remedy: "remove" },
  });
  const second = { ...leak("stays"), cause: "second" };
  assert.deepEqual(confirmLeaks([leak("goes"), leak("stays")], [second, leak("comes")]), [second]);
});
