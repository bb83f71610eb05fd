import assert from "node:assert/strict";
import { test } from "node:test";
import type { ZonesConfig } from "../../../config/zones-config.ts";
import { judgePlatform } from "./host-checks.ts";
import { judgeAddress, judgeLink, judgePool, judgeVnic } from "./network-checks.ts";
import { fieldsOf } from "./observe.ts";
import { judgeFilter, judgeForwarding, judgeNat } from "./outbound-checks.ts";
import { judgeDataset, judgePoolSpace, judgeSocketPath, readDataset } from "./pool-checks.ts";

const zones: ZonesConfig = {
  ...{ pool: "rpool/solstice", link: "solstice_stub0", vnic: "solstice0", gateway: "10.88.0.1" },
  subnet: { address: "10.88.0.0", prefix: 24 },
  addresses: { first: "10.88.0.2", last: "10.88.0.254" },
  nameservers: null,
};

test("a host without illumos fails; with the zone commands on PATH it is a warning", () => {
  assert.equal(judgePlatform("sunos", []).status, "ok");
  const linux = judgePlatform("linux", ["zonecfg", "zoneadm"]);
  assert.equal(linux.status, "fail");
  assert.match(linux.detail, /^This is linux and not illumos: .*zonecfg, zoneadm are not here/);
  assert.equal(judgePlatform("linux", []).status, "warn");
});

test("parsable output: colons separate fields, a backslash escapes a character", () => {
  assert.deepEqual(fieldsOf("solstice0/v4:10.88.0.1/24"), ["solstice0/v4", "10.88.0.1/24"]);
  assert.deepEqual(fieldsOf("lo0/v6:\\:\\:1/128"), ["lo0/v6", "::1/128"]);
  assert.deepEqual(fieldsOf("a::b\\\\"), ["a", "", "b\\"]);
  assert.deepEqual(fieldsOf(""), [""]);
});

test("a dataset: absent, ours, another's, a volume", () => {
  const facts = readDataset([
    "type\tfilesystem",
    "available\t1024",
    "mountpoint\t/rpool/solstice",
    "solstice:owner\t-",
  ]);
  assert.deepEqual(facts, {
    ...{ type: "filesystem", availableBytes: 1024, mountpoint: "/rpool/solstice", owner: null },
  });
  const seen = { name: "rpool/solstice", parent: "rpool", facts, parentFacts: facts, ownId: "omni-1" };
  assert.equal(judgeDataset(seen).status, "warn");
  assert.equal(judgeDataset({ ...seen, facts: { ...facts, owner: "omni-1" } }).status, "ok");
  const other = judgeDataset({ ...seen, facts: { ...facts, owner: "other-2" } });
  assert.equal(other.status, "fail");
  assert.match(other.remedy ?? "", /zfs inherit solstice:owner rpool\/solstice$/);
  assert.equal(judgeDataset({ ...seen, facts: { ...facts, type: "volume" } }).status, "fail");
  assert.equal(judgeDataset({ ...seen, facts: null }).status, "ok");
  const lost = { ...seen, name: "tank/ci/solstice", parent: "tank/ci", facts: null, parentFacts: null };
  assert.equal(judgeDataset(lost).remedy, "zfs create -p tank/ci");
});

test("free space: less than the images may need is a warning, less than one image a failure", () => {
  const images = [{ virtualSizeBytes: 30 * 1024 ** 3 }, { virtualSizeBytes: null }];
  assert.equal(judgePoolSpace(40 * 1024 ** 3, images).status, "ok");
  assert.equal(judgePoolSpace(20 * 1024 ** 3, images).status, "warn");
  assert.equal(judgePoolSpace(1024 ** 3, []).status, "fail");
});

test("the path of a guest's console fits into a socket's address", () => {
  assert.equal(judgeSocketPath("/rpool/solstice/zones", "rpool/solstice").status, "ok");
  // /job-<12>/root/tmp/vm.com1 has 34 characters after the directory of zones.
  assert.equal(judgeSocketPath(`/${"x".repeat(107 - 34 - 1)}`, "p/x").status, "ok");
  const long = judgeSocketPath(`/${"x".repeat(107 - 34)}`, "p/x");
  assert.equal(long.status, "fail");
  assert.match(long.detail, /has 108 bytes/);
  for (const mountpoint of [null, "none", "legacy"]) {
    assert.equal(judgeSocketPath(mountpoint, "p/x").status, "fail");
  }
});

test("links: a missing link will be created, an unusable link is named", () => {
  const links = [
    { name: "igb0", kind: "phys", over: "" },
    { name: "ci0", kind: "vnic", over: "igb0" },
    { name: "solstice_stub0", kind: "etherstub", over: "" },
    { name: "solstice0", kind: "vnic", over: "igb0" },
  ];
  assert.equal(judgeLink("solstice_stub0", links).status, "ok");
  assert.match(judgeLink("stub9", links).detail, /The orchestrator creates an etherstub stub9/);
  assert.match(judgeLink("ci0", links).remedy ?? "", /^set ZONES_LINK to igb0/);
  assert.equal(judgeLink("igb0", null).status, "fail");
  assert.match(judgeVnic(zones, links).detail, /solstice0 is over igb0, but guests are on solstice_stub0/);
  assert.equal(judgeVnic({ ...zones, link: "igb0" }, links).status, "ok");
  assert.equal(judgeVnic({ ...zones, vnic: "solstice1" }, links).status, "ok");
});

test("the host's address: in the guests' network, outside of the guests' range, and in no other network of the host", () => {
  const at = (name: string, address: string, prefix = 24) => ({ interface: name, address, prefix });
  assert.match(judgeAddress(zones, []).detail, /gives solstice0 the address 10\.88\.0\.1/);
  assert.equal(judgeAddress(zones, [at("lo0", "127.0.0.1", 8), at("solstice0", "10.88.0.1")]).status, "ok");
  assert.match(judgeAddress(zones, [at("solstice0", "10.88.0.7")]).detail, /also in the range for guests/);
  assert.match(
    judgeAddress(zones, [at("solstice0", "10.99.0.1")]).remedy ?? "",
    /^ipadm create-addr .*10\.88\.0\.1\/24/,
  );
  const overlapping = judgeAddress(zones, [at("igb0", "10.88.0.77", 16), at("solstice0", "10.88.0.1")]);
  assert.match(overlapping.detail, /^igb0 has 10\.88\.0\.77\/16, in the guests' network 10\.88\.0\.0\/24/);
  assert.equal(judgeAddress(zones, null).status, "fail");
});

test("there are as many addresses as guests", () => {
  const few = { ...zones, addresses: { first: "10.88.0.2", last: "10.88.0.4" } };
  assert.equal(judgePool({ zones: few, maxConcurrency: 2, maxHolds: 1 }).status, "ok");
  assert.match(judgePool({ zones: few, maxConcurrency: 3, maxHolds: 1 }).detail, /3 addresses, but 4 guests/);
});

test("forwarding, from the output of routeadm", () => {
  const line = (now: string) => [`persistent=disabled default=disabled current=${now}`];
  assert.equal(judgeForwarding(line("enabled")).status, "ok");
  assert.equal(judgeForwarding(line("disabled")).remedy, "routeadm -u -e ipv4-forwarding");
  assert.equal(judgeForwarding(null).status, "warn");
});

test("NAT, from the output of ipnat: a rule for the guests' network or a larger one", () => {
  const listed = (...rules: string[]) => [
    "List of active MAP/Redirect filters:",
    ...rules,
    "List of active sessions:",
  ];
  assert.equal(
    judgeNat(listed("map igb0 10.88.0.0/24 -> 0.0.0.0/32 portmap tcp/udp auto"), zones, null).status,
    "ok",
  );
  assert.equal(judgeNat(listed("map igb0 10.0.0.0/8 -> 0.0.0.0/32"), zones, null).status, "ok");
  const missing = judgeNat(listed("map igb0 10.88.0.0/25 -> 0.0.0.0/32"), zones, "igb0");
  assert.equal(missing.status, "warn");
  assert.match(missing.remedy ?? "", /map igb0 10\.88\.0\.0\/24 -> 0\/32 portmap tcp\/udp auto/);
  assert.equal(judgeNat(null, zones, null).status, "warn");
});

test("the filter, from the output of ipfstat: a rule must block guests", () => {
  assert.equal(judgeFilter(["empty list for ipfilter(in)"], zones).status, "warn");
  assert.equal(judgeFilter(["block in on igb0 all"], zones).status, "warn");
  assert.equal(judgeFilter(["pass in on solstice0 all"], zones).status, "warn");
  assert.equal(judgeFilter(["block in quick on solstice0 from any to any"], zones).status, "ok");
  assert.equal(judgeFilter(["block in quick from 10.88.0.0/24 to 10.0.0.0/8"], zones).status, "ok");
  assert.equal(judgeFilter(null, zones).status, "warn");
});
