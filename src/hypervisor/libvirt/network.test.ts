import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGateway } from "./network.ts";

test("the gateway is the first IPv4 address of the network", () => {
  const xml = `<network><name>n</name>
    <ip family='ipv6' address='fd00::1' prefix='64'/>
    <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp/></ip>
    <ip family='ipv4' address='10.0.0.1' prefix='24'/></network>`;
  assert.equal(parseGateway(xml), "192.168.122.1");
});

test("a network without an address of the host has no gateway", () => {
  assert.equal(parseGateway("<network><forward mode='bridge'/></network>"), null);
  assert.equal(parseGateway("<network><ip family='ipv6' address='fd00::1'/></network>"), null);
  assert.equal(parseGateway("<network"), null);
});
