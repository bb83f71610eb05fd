import assert from "node:assert/strict";
import { test } from "node:test";
import { type BindingFacts, decideBindings, type Lease } from "./bindings.ts";

const [a, b, stranger] = ["52:54:aa:aa:aa:00", "52:54:aa:aa:aa:01", "52:54:00:12:34:56"];
const now = 1000;

function lease(macAddress: string, address: string, expirySeconds = now + 60): Lease {
  return { macAddress, address, expirySeconds };
}

function bound(facts: Partial<BindingFacts>): Record<string, string> {
  const bindings = decideBindings({
    ...{ leases: [], previous: [], powered: new Set<string>(), now },
    isOurs: (macAddress) => macAddress.startsWith("52:54:aa:aa:aa:"),
    ...facts,
  });
  return Object.fromEntries(bindings.map(({ macAddress, address }) => [macAddress, address]));
}

test("a card is bound to its leased address, and foreign leases are not bound", () => {
  assert.deepEqual(bound({ leases: [lease(a, "10.0.0.5"), lease(stranger, "10.0.0.6")] }), {
    [a]: "10.0.0.5",
  });
});

test("an expired lease has no binding; a lease without an end has one", () => {
  assert.deepEqual(bound({ leases: [lease(a, "10.0.0.5", now), lease(b, "10.0.0.6", 0)] }), {
    [b]: "10.0.0.6",
  });
});

test("of several leases of one card the latest counts", () => {
  const leases = [lease(a, "10.0.0.5", now + 10), lease(a, "10.0.0.6", now + 20)];
  assert.deepEqual(bound({ leases }), { [a]: "10.0.0.6" });
});

test("a powered guest keeps its address when another of our guests gets a lease for it", () => {
  const facts = { leases: [lease(b, "10.0.0.5")], previous: [{ macAddress: a, address: "10.0.0.5" }] };
  assert.deepEqual(bound({ ...facts, powered: new Set([a, b]) }), { [a]: "10.0.0.5" });
});

test("a guest without power loses it to the next one", () => {
  const facts = { leases: [lease(b, "10.0.0.5")], previous: [{ macAddress: a, address: "10.0.0.5" }] };
  assert.deepEqual(bound({ ...facts, powered: new Set([b]) }), { [b]: "10.0.0.5" });
});

test("an address leased to a foreign machine, or released, is removed even from a powered guest", () => {
  const facts = { previous: [{ macAddress: a, address: "10.0.0.5" }], powered: new Set([a]) };
  assert.deepEqual(bound({ ...facts, leases: [lease(stranger, "10.0.0.5")] }), {});
  assert.deepEqual(bound({ ...facts, leases: [] }), {});
});

test("every address has at most one card, and every card at most one address", () => {
  const leases = [lease(a, "10.0.0.5"), lease(b, "10.0.0.5", now + 90), lease(b, "10.0.0.6")];
  const result = bound({
    leases,
    previous: [{ macAddress: a, address: "10.0.0.5" }],
    powered: new Set([a, b]),
  });
  assert.deepEqual(result, { [a]: "10.0.0.5", [b]: "10.0.0.6" });
});
