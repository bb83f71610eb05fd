import assert from "node:assert/strict";
import { test } from "node:test";
import { cardOfSlot, freeSlot, normaliseMac, slotOfVnic, vnicPrefix } from "./slots.ts";

const addresses = { first: "10.88.0.1", last: "10.88.0.4", taken: ["10.88.0.1"] };

test("a slot determines link, hardware address and address, and skips foreign addresses", () => {
  const cards = [0, 1, 2, 3].map((slot) => cardOfSlot("owner", addresses, slot));
  assert.deepEqual(
    cards.map((card) => card?.address),
    ["10.88.0.2", "10.88.0.3", "10.88.0.4", undefined],
  );
  for (const card of cards.slice(0, 3)) {
    assert.match(card?.vnic ?? "", /^sol[0-9a-f]{6}v\d$/);
    assert.match(card?.macAddress ?? "", /^02(:[0-9a-f]{2}){5}$/);
    assert.equal(slotOfVnic("owner", card?.vnic ?? ""), card?.slot);
  }
  assert.notEqual(cardOfSlot("other", addresses, 0)?.vnic, cards[0]?.vnic);
  assert.notEqual(cards[0]?.macAddress, cards[1]?.macAddress);
});

test("links with names of another form have no slot", () => {
  for (const name of [
    "solstice0",
    "igb0",
    `${vnicPrefix("other")}0`,
    `${vnicPrefix("owner")}07`,
    vnicPrefix("owner"),
  ])
    assert.equal(slotOfVnic("owner", name), null, name);
});

test("the lowest free slot is assigned, until all are in use", () => {
  assert.equal(freeSlot(addresses, new Set()), 0);
  assert.equal(freeSlot(addresses, new Set([0, 2])), 1);
  assert.throws(() => freeSlot(addresses, new Set([0, 1, 2])), {
    code: "hypervisor_failed",
    message: /10\.88\.0\.1-10\.88\.0\.4/,
  });
});

test("a large subnet carries over to the next byte", () => {
  const wide = { first: "10.0.0.254", last: "10.0.1.10", taken: [] };
  assert.equal(cardOfSlot("owner", wide, 2)?.address, "10.0.1.0");
});

test("dladm's addresses are compared in one form", () => {
  assert.equal(normaliseMac("2:8:20:0:A:ff"), "02:08:20:00:0a:ff");
});

test("for every owner, dladm accepts a card's name: it ends in a number without a leading zero", () => {
  for (let owner = 0; owner < 1000; owner += 1) {
    for (const slot of [0, 7, 10]) {
      const name =
        cardOfSlot(String(owner), { first: "10.0.0.1", last: "10.0.0.99", taken: [] }, slot)?.vnic ?? "";
      assert.match(name, /^[a-z][a-z0-9_]*[a-z_](0|[1-9]\d*)$/);
      assert.ok(name.length < 32);
    }
  }
});
