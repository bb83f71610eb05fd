import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNetworkFacts } from "./network-facts.ts";

const nat = `<network><name>default</name><forward mode='nat'/><bridge name='virbr0' stp='on'/>
  <ip family='ipv6' address='fd00::1' prefix='64'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>`;

test("the XML of a NAT network has bridge, gateway and subnet", () => {
  const expected = { bridge: "virbr0", gateway: "192.168.122.1", subnet: "192.168.122.0/24" };
  assert.deepEqual(parseNetworkFacts(nat, "default"), expected);
  const prefixed = nat.replace("netmask='255.255.255.0'", "prefix='20'");
  assert.equal(parseNetworkFacts(prefixed, "default").subnet, "192.168.112.0/20");
});

test("a network without this host's bridge or DHCP is rejected with a remedy", () => {
  const refusal = { code: "network_missing", remedy: /NAT or routed network.*FIREWALL=off/ };
  const others = [
    "<network><forward mode='bridge'/><bridge name='br0'/></network>",
    "<network><forward dev='eth0' mode='bridge'/></network>",
    nat.replace(/<dhcp>.*<\/dhcp>/s, ""),
    nat.replace("255.255.255.0", "255.0.255.0"),
    nat.replace("virbr0", 'x" drop'),
    "not xml",
  ];
  for (const xml of others) assert.throws(() => parseNetworkFacts(xml, "other"), refusal, xml);
});
