import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { confirmLeaks, findLeaks } from "./find-leaks.ts";
import type { Leak } from "./leak.ts";
import { leakKey } from "./leak.ts";
import { emptyTraces, type Ledgers } from "./ledgers.ts";
import { holds } from "./ownership.ts";
import { arbitraryHost, buildLedgers, ledgersOf, planted } from "./testing/ledgers.ts";
import { mendOnPaper } from "./testing/mend-on-paper.ts";

const hostId = "here";

function keys(leaks: readonly Leak[]): string[] {
  return leaks.map(({ kind, name }) => `${kind} ${name}`).toSorted();
}

test("a host in order, in every state of a job, has no leaks", () => {
  for (const state of ["provisioning", "booting", "running", "finalizing"] as const) {
    const ledgers = buildLedgers([{ case: "healthy", jobId: "aaaa", state }]);
    assert.deepEqual(findLeaks(ledgers), [], state);
  }
});

test("every planted difference is found, with its job, and nothing else", () => {
  fc.assert(
    fc.property(arbitraryHost, (host) => {
      assert.deepEqual(keys(findLeaks(buildLedgers(host))), planted(host).toSorted());
    }),
  );
});

test("what an active job of this host owns is never to be removed, nor what is held or young", () => {
  fc.assert(
    fc.property(arbitraryHost, (host) => {
      const ledgers = buildLedgers(host);
      for (const leak of findLeaks(ledgers).filter(({ remedy }) => remedy === "remove")) {
        const job = ledgers.store.jobs.get(leak.jobId ?? "");
        const attempt = ledgers.traces.domains.find(({ jobId }) => jobId === leak.jobId)?.attempt;
        assert.ok(!holds(hostId, job, attempt), leakKey(leak));
        const file = ledgers.temporary.find(({ path }) => path === leak.name);
        assert.ok(!file?.isHeld, leakKey(leak));
      }
    }),
  );
});

test("applying the remedies leaves only what nobody here can mend", () => {
  fc.assert(
    fc.property(arbitraryHost, (host) => {
      const before = buildLedgers(host);
      const mended = findLeaks(before).reduce<Ledgers>(mendOnPaper, before);
      for (const { remedy } of findLeaks(mended)) assert.match(remedy, /^(none|by_hand|adopt)$/);
    }),
  );
});

test("every cause is a sentence, and says who took a job over", () => {
  const leaks = findLeaks(buildLedgers([{ case: "guest of another host's job", jobId: "aaaa" }]));
  assert.match(leaks[0]?.cause ?? "", /taken over by host elsewhere/);
  fc.assert(
    fc.property(arbitraryHost, (host) => {
      for (const { cause } of findLeaks(buildLedgers(host))) assert.match(cause, /^[A-Z].{20,}\S$/s);
    }),
  );
});

test("where an orchestrator drives the jobs, a guest that disappeared is its business", () => {
  const host = [{ case: "machine lost its guest", jobId: "aaaa" }] as const;
  assert.deepEqual(keys(findLeaks(buildLedgers(host))), ["machine_without_guest job-aaaa/1"]);
  assert.deepEqual(findLeaks({ ...buildLedgers(host), isDriven: true }), []);
});

test("a log is ours only where the store knows that its job ran here", () => {
  const log = { path: "/var/log/job-aaaa.log", jobId: "aaaa" };
  const ledgers = ledgersOf({ traces: { ...emptyTraces, logs: [log] } });
  assert.deepEqual(findLeaks(ledgers), []);
  const known = { ...ledgers, store: { ...ledgers.store, ranHere: new Set(["aaaa"]) } };
  assert.deepEqual(keys(findLeaks(known)), ["stale_temporary_file /var/log/job-aaaa.log"]);
});

test("an interface is told of only while every guest's card is known", () => {
  const card = { name: "vnet7", macAddress: "52:54:01:02:03:04", command: "ip -d link show vnet7" };
  const traces = { ...emptyTraces, interfaces: [card] };
  const [leak] = findLeaks(ledgersOf({ traces }));
  assert.equal(`${leak?.kind} ${leak?.name}`, "interface_without_guest vnet7");
  assert.match(leak?.cause ?? "", /ip -d link show vnet7$/, "each backend says how to look");
  const healthy = buildLedgers([{ case: "healthy", jobId: "aaaa", state: "running" }]);
  const unknown = healthy.traces.directories.map((directory) => ({ ...directory, macAddress: null }));
  const withUnknown = { ...healthy.traces, directories: unknown, interfaces: [card] };
  assert.deepEqual(findLeaks({ ...healthy, traces: withUnknown }), []);
});

test("an expired lease is no lease, and one of a present guest is right", () => {
  const lease = { macAddress: "52:54:01:02:03:04", address: "192.0.2.7", expiresAt: 2000 };
  const traces = { ...emptyTraces, leases: [lease] };
  assert.equal(findLeaks(ledgersOf({ traces, now: 2000 })).length, 0);
  assert.equal(findLeaks(ledgersOf({ traces, now: 1999 })).length, 1);
});

test("what only one of two looks saw is no difference", () => {
  const leak = (name: string): Leak => ({
    ...{ kind: "guest_without_job", name, jobId: "aaaa", cause: "first", remedy: "remove" },
  });
  const second = { ...leak("stays"), cause: "second" };
  assert.deepEqual(confirmLeaks([leak("goes"), leak("stays")], [second, leak("comes")]), [second]);
});
