import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { buildNetworkConfig, nameserversOf } from "./network-config.ts";

const network = {
  macAddress: "02:01:02:03:00:07",
  address: "10.88.0.9",
  prefix: 24,
  gateway: "10.88.0.1",
  nameservers: ["192.0.2.1", "192.0.2.2"],
};

test("the card is known by its hardware address, which YAML must not read as a number", () => {
  assert.deepEqual(parse(buildNetworkConfig(network)), {
    version: 2,
    ethernets: {
      net0: {
        match: { macaddress: "02:01:02:03:00:07" },
        addresses: ["10.88.0.9/24"],
        gateway4: "10.88.0.1",
        nameservers: { addresses: ["192.0.2.1", "192.0.2.2"] },
      },
    },
  });
});

test("without nameservers the list is empty", () => {
  assert.deepEqual(parse(buildNetworkConfig({ ...network, nameservers: [] })).ethernets.net0.nameservers, {
    addresses: [],
  });
});

test("a resolv.conf gives three nameservers at most, and none that only the host can ask", () => {
  const text =
    "domain a\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\n nameserver 192.0.2.2 \n";
  assert.deepEqual(nameserversOf(text), ["192.0.2.1", "192.0.2.2"]);
  assert.equal(nameserversOf("nameserver 192.0.2.1\n".repeat(5)).length, 3);
  assert.deepEqual(nameserversOf(""), []);
});
