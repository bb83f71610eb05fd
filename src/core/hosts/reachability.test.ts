import assert from "node:assert/strict";
import { test } from "node:test";
import { type ReachableNetworks, targetOfRepository, whyUnreachable } from "./reachability.ts";

const networks: ReachableNetworks = {
  egress: "open",
  lanAccess: [],
  hostPorts: [],
  gateway: "192.168.122.1",
  hostAddresses: ["192.0.2.7", "192.168.7.2"],
};
const server = { host: "git.lan", port: 8080 };

function closed(addresses: string[], change: Partial<ReachableNetworks> = {}, target = server): string {
  return whyUnreachable(target, addresses, { ...networks, ...change }) ?? "open";
}

test("the server of a repository, and the port of its scheme", () => {
  const targets = {
    "https://user:pw@Git.lan/a/b.git": ["git.lan", 443],
    "http://10.0.0.5:3000/a": ["10.0.0.5", 3000],
    "ssh://git@[fd00::5]/a": ["fd00::5", 22],
    "git@git.lan:a/b": ["git.lan", 22],
    "[git@git.lan:2222]:a": ["git.lan", 2222],
    "git://git.lan/a": ["git.lan", 9418],
  };
  for (const [url, [host, port]] of Object.entries(targets))
    assert.deepEqual(targetOfRepository(url), { host, port }, url);
  assert.equal(targetOfRepository("/srv/git/a.git"), null);
});

test("private, shared, link-local and IPv6-only servers are blocked, and the message names the setting", () => {
  for (const address of ["10.0.0.5", "172.31.9.9", "192.168.1.20", "169.254.1.1", "100.64.0.1"]) {
    const text = closed([address]);
    assert.match(text, new RegExp(`git\\.lan \\(${address}\\)`));
    assert.ok(text.includes(`GUEST_LAN_ACCESS=${address}.`), text);
  }
  for (const address of ["8.8.8.8", "172.32.0.1", "100.128.0.1", "11.0.0.1"])
    assert.equal(closed([address]), "open", address);
  assert.match(closed(["fd00::5", "2001:db8::1"]), /IPv4 only.*FIREWALL=off/);
  assert.equal(closed([]), "open");
});

test("git tries every address: one reachable address is enough", () => {
  assert.equal(closed(["10.0.0.5", "8.8.8.8"]), "open");
  assert.equal(closed(["fd00::5", "8.8.8.8"]), "open");
  assert.match(closed(["fd00::5", "10.0.0.5"]), /GUEST_LAN_ACCESS=10\.0\.0\.5/);
});

test("ranges that the operator opened are reachable, and the remedy keeps them", () => {
  const lanAccess = ["10.1.0.0/16"];
  assert.equal(closed(["10.1.2.3"], { lanAccess }), "open");
  assert.match(closed(["10.2.2.3"], { lanAccess }), /GUEST_LAN_ACCESS=10\.1\.0\.0\/16,10\.2\.2\.3\./);
});

test("on the host, only listed ports of its address on the guests' network are reachable", () => {
  assert.match(closed(["192.168.122.1"]), /port 8080 of their host.*GUEST_HOST_PORTS=8080\./);
  assert.equal(closed(["192.168.122.1"], { hostPorts: [8080] }), "open");
  // The same for a public address of the host, and with any GUEST_LAN_ACCESS.
  for (const address of ["192.0.2.7", "192.168.7.2"]) {
    const text = closed([address], { hostPorts: [80, 8080], lanAccess: [address] });
    assert.match(text, /listen on 192\.168\.122\.1.*GUEST_HOST_PORTS=80,8080\./);
  }
});

test("localhost in a guest is the guest, with or without a firewall", () => {
  const localhost = { host: "localhost", port: 80 };
  assert.match(closed(["127.0.0.1", "::1"], {}, localhost), /itself.*192\.168\.122\.1.*GUEST_HOST_PORTS/);
  assert.match(whyUnreachable(localhost, ["::1"], null) ?? "", /In a guest, localhost is the guest itself/);
  assert.equal(whyUnreachable(server, ["10.0.0.5"], null), null);
  assert.equal(whyUnreachable(server, ["fd00::5"], null), null);
});

test("an image's own egress decides: none, or only the ranges of its list, private or not", () => {
  assert.match(closed(["8.8.8.8"], { egress: "none" }), /egress in the image map is none/);
  assert.match(closed(["8.8.8.8"], { egress: ["10.0.0.0/8"] }), /a list without this address/);
  assert.equal(closed(["10.0.0.5"], { egress: ["10.0.0.0/8"] }), "open");
});
