import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isSolsticeError } from "../../core/errors.ts";
import { loadOrchestratorConfig } from "../load-orchestrator-config.ts";
import { addressCount } from "../zones-config.ts";
import { zonesOptions } from "./zones-options.ts";

test("the defaults of zones are those of the documentation", async () => {
  const { zones } = await loadOrchestratorConfig({}, {});
  assert.deepEqual(zones, {
    pool: "rpool/solstice",
    link: "solstice_stub0",
    vnic: "solstice0",
    subnet: { address: "10.88.0.0", prefix: 24 },
    gateway: "10.88.0.1",
    addresses: { first: "10.88.0.2", last: "10.88.0.254" },
    nameservers: null,
  });
  assert.ok(Object.isFrozen(zones) && Object.isFrozen(zones.addresses) && Object.isFrozen(zones.subnet));
});

test("flags and variables of zones; without a range, guests get the longer part of the network beside the gateway", async () => {
  const env = {
    ZONES_SUBNET: "192.168.40.0/28",
    ZONES_GATEWAY: "192.168.40.14",
    ZONES_NAMESERVERS: "9.9.9.9",
  };
  const { zones } = await loadOrchestratorConfig({ zonesPool: "tank/ci/solstice" }, env);
  assert.equal(zones.pool, "tank/ci/solstice");
  assert.deepEqual(zones.addresses, { first: "192.168.40.1", last: "192.168.40.13" });
  assert.equal(addressCount(zones.addresses), 13);
  assert.deepEqual(zones.nameservers, ["9.9.9.9"]);
});

test("a dataset must be below a pool, because the pool itself holds data of others", () => {
  for (const text of ["rpool/solstice", "tank/a-b_c.d/f", `t/${"x".repeat(98)}`]) {
    assert.deepEqual(zonesOptions.zonesPool.parse(text), { value: text });
  }
  const wrong = [
    "rpool",
    "/rpool/x",
    "rpool/",
    "rpool//x",
    "1pool/x",
    "rpool/a b",
    "rpool/x@y",
    "rpool/../x",
  ];
  for (const text of [
    ...wrong,
    "rpool/x,y",
    "rpool/x:y",
    "rpool/-x",
    'rpool/"x"',
    `t/${"x".repeat(99)}`,
    "",
  ]) {
    assert.ok("expected" in zonesOptions.zonesPool.parse(text), text);
  }
});

test("a link's name ends in a number", () => {
  for (const text of ["e1000g0", "solstice_stub0", "a1", "vlan.10", `x${"y".repeat(29)}1`]) {
    assert.deepEqual(zonesOptions.zonesLink.parse(text), { value: text });
  }
  const wrong = [
    "",
    "net",
    "0net0",
    "net00",
    "net010",
    "net-1",
    "net 1",
    "_net1",
    "net0/x",
    "net99999999999",
  ];
  for (const text of [...wrong, `x${"y".repeat(30)}1`]) {
    assert.ok("expected" in zonesOptions.zonesVnic.parse(text), text);
  }
});

test("networks, addresses and name servers", () => {
  for (const text of [
    "10.88.0.0",
    "10.88.0.1/24",
    "10.0.0.0/8",
    "10.88.0.0/31",
    "127.0.0.0/16",
    "224.0.0.0/24",
  ]) {
    assert.ok("expected" in zonesOptions.zonesSubnet.parse(text), text);
  }
  assert.deepEqual(zonesOptions.zonesSubnet.parse("172.16.0.0/16"), {
    value: { address: "172.16.0.0", prefix: 16 },
  });
  for (const text of ["10.88.0.1/32", "10.88.0", "10.88.0.256", "::1", "127.0.0.1", "0.0.0.0"]) {
    assert.ok("expected" in zonesOptions.zonesGateway.parse(text), text);
  }
  for (const text of ["10.88.0.9-10.88.0.2", "10.88.0.9", "10.88.0.2-10.88.0.3-10.88.0.4", "a-b", ""]) {
    assert.ok("expected" in zonesOptions.zonesAddresses.parse(text), text);
  }
  assert.deepEqual(zonesOptions.zonesAddresses.parse("10.88.0.2 - 10.88.0.2"), {
    value: { first: "10.88.0.2", last: "10.88.0.2" },
  });
  for (const text of ["", "127.0.0.53", "1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4", "9.9.9.9,"]) {
    assert.ok("expected" in zonesOptions.zonesNameservers.parse(text), text);
  }
});

test("options that contradict each other are reported together with all other problems", async () => {
  const message = await refusal({
    MAX_CONCURRENCY: "many",
    ZONES_LINK: "ci0",
    ZONES_VNIC: "ci0",
    ZONES_GATEWAY: "10.88.0.50",
    ZONES_ADDRESSES: "10.88.0.2-10.88.0.99",
  });
  assert.equal(message.split("\n").length, 3, message);
  assert.match(message, /^--zones-vnic: ci0 is the link below guests' VNICs/m);
  assert.match(
    message,
    /^--zones-addresses: 10\.88\.0\.2-10\.88\.0\.99 contains 10\.88\.0\.50, the gateway of guests; needs a range without it, such as 10\.88\.0\.51-10\.88\.0\.254\.$/m,
  );
});

test("gateway and addresses lie in the network, and are neither the network address nor the broadcast address", async () => {
  for (const gateway of ["10.99.0.1", "10.88.0.0", "10.88.0.255"]) {
    const message = await refusal({ ZONES_GATEWAY: gateway });
    assert.match(message, /^--zones-gateway: .* needs one of 10\.88\.0\.1 to 10\.88\.0\.254\.$/);
  }
  for (const addresses of ["10.88.0.2-10.88.1.2", "10.87.0.2-10.88.0.9", "10.88.0.2-10.88.0.255"]) {
    assert.match(await refusal({ ZONES_ADDRESSES: addresses }), /does not lie in 10\.88\.0\.0\/24/);
  }
});

test("with zones there must be as many addresses as guests; other backends do not check it", async () => {
  const few = { ZONES_ADDRESSES: "10.88.0.2-10.88.0.4", MAX_CONCURRENCY: "3", MAX_HOLDS: "1" };
  assert.match(await refusal({ ...few, HYPERVISOR: "zones" }), /has 3 addresses, but there may be 4 guests/);
  await loadOrchestratorConfig({}, { ...few, HYPERVISOR: "zones", MAX_HOLDS: "0" });
  await loadOrchestratorConfig({}, { ...few, HYPERVISOR: "noop" });
});

test("for every network and gateway, guests' addresses lie in the network and exclude the gateway", async () => {
  const networks = fc.record({ prefix: fc.integer({ min: 16, max: 30 }), at: fc.nat(255), pick: fc.nat() });
  await fc.assert(
    fc.asyncProperty(networks, async ({ prefix, at, pick }) => {
      const hosts = 2 ** (32 - prefix) - 2;
      const place = 1 + (pick % hosts);
      const gateway = `10.${at}.${Math.floor(place / 256)}.${place % 256}`;
      const env = { ZONES_SUBNET: `10.${at}.0.0/${prefix}`, ZONES_GATEWAY: gateway };
      const { addresses } = (await loadOrchestratorConfig({}, env)).zones;
      const [first, last] = [addresses.first, addresses.last].map(placeOf);
      assert.ok(first !== undefined && last !== undefined && first >= 1 && last <= hosts && first <= last);
      assert.ok(place < first || place > last);
      assert.ok(addressCount(addresses) >= Math.floor((hosts - 1) / 2) && addressCount(addresses) < hosts);
    }),
    { numRuns: 50 },
  );
});

function placeOf(address: string): number {
  const [, , third = 0, fourth = 0] = address.split(".").map(Number);
  return third * 256 + fourth;
}

async function refusal(env: Record<string, string>): Promise<string> {
  try {
    await loadOrchestratorConfig({}, env);
  } catch (error) {
    assert.ok(isSolsticeError(error, "config_invalid"), String(error));
    return error.message;
  }
  return assert.fail("the configuration was accepted");
}
