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

test("a card has the address that was leased to it, and strangers' leases are not ours to bind", () => {
  assert.deepEqual(bound({ leases: [lease(a, "10.0.0.5"), lease(stranger, "10.0.0.6")] }), {
    [a]: "10.0.0.5",
  });
});

test("a lease that is over binds nothing; one without an end does", () => {
  assert.deepEqual(bound({ leases: [lease(a, "10.0.0.5", now), lease(b, "10.0.0.6", 0)] }), {
    [b]: "10.0.0.6",
  });
});

test("of several leases of one card the latest counts", () => {
  const leases = [lease(a, "10.0.0.5", now + 10), lease(a, "10.0.0.6", now + 20)];
  assert.deepEqual(bound({ leases }), { [a]: "10.0.0.6" });
});

test("a powered guest keeps the address whose lease another guest of ours got", () => {
  const facts = { leases: [lease(b, "10.0.0.5")], previous: [{ macAddress: a, address: "10.0.0.5" }] };
  assert.deepEqual(bound({ ...facts, powered: new Set([a, b]) }), { [a]: "10.0.0.5" });
});

test("a guest without power loses it to the next one", () => {
  const facts = { leases: [lease(b, "10.0.0.5")], previous: [{ macAddress: a, address: "10.0.0.5" }] };
  assert.deepEqual(bound({ ...facts, powered: new Set([b]) }), { [b]: "10.0.0.5" });
});

test("an address that went to a stranger, or that was given back, is given up even by a powered guest", () => {
  const facts = { previous: [{ macAddress: a, address: "10.0.0.5" }], powered: new Set([a]) };
  assert.deepEqual(bound({ ...facts, leases: [lease(stranger, "10.0.0.5")] }), {});
  assert.deepEqual(bound({ ...facts, leases: [] }), {});
});

test("no address is bound twice, and no card has two", () => {
  const leases = [lease(a, "10.0.0.5"), lease(b, "10.0.0.5", now + 90), lease(b, "10.0.0.6")];
  const result = bound({
    leases,
    previous: [{ macAddress: a, address: "10.0.0.5" }],
    powered: new Set([a, b]),
  });
  assert.deepEqual(result, { [a]: "10.0.0.5", [b]: "10.0.0.6" });
});
