import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { privateRanges } from "../../../core/image-map/egress.ts";
import { buildRemoval, buildRuleset, type FirewallPlan } from "./ruleset.ts";

const prefix = "sol3f9a1c";
const macAddress = "52:54:3f:9a:1c:00";
const plan: FirewallPlan = {
  prefix,
  bridge: "virbr0",
  gateway: "192.168.122.1",
  subnet: "192.168.122.0/24",
  cards: ["open", "none", "ab12"].map((code) => ({ tap: `${prefix}${code}00`, macAddress })),
  bindings: [{ macAddress, address: "192.168.122.50" }],
  classes: [
    { code: "open", egress: "open" },
    { code: "none", egress: "none" },
    { code: "ab12", egress: ["192.168.0.0/16", "203.0.113.7"] },
  ],
  lanAccess: [],
  hostPorts: [],
  runner: { address: "192.168.122.1", port: 7411 },
};

/** Returns the rules of one chain of a table. */
function chainOf(ruleset: string, family: "bridge" | "inet", name: string): string[] {
  const table = new RegExp(`^table ${family} \\S+ {\\n(.*?)^}`, "ms").exec(ruleset)?.[1] ?? "";
  const chain = new RegExp(`^  chain ${name} {\\n(.*?)^  }`, "ms").exec(table)?.[1];
  assert.ok(chain !== undefined, `${family} ${name}`);
  return chain
    .trimEnd()
    .split("\n")
    .map((line) => line.trim());
}

const withRoot = process.getuid?.() === 0 && spawnSync("nft", ["--version"]).status === 0;

describe("the text for nft", () => {
  const variants: [string, FirewallPlan][] = [
    ["as usual", plan],
    ["before any lease", { ...plan, bindings: [] }],
    [
      "with everything opened",
      { ...plan, lanAccess: ["10.0.0.0/8", "10.1.0.0/16", "192.168.122.9"], hostPorts: [8080, 22] },
    ],
    ["with a runner elsewhere", { ...plan, runner: { address: "10.0.0.7", port: 443 } }],
  ];
  for (const [name, variant] of variants) {
    test(`nft accepts it ${name}`, { skip: withRoot ? false : "needs root and nft" }, () => {
      const { status, stderr } = spawnSync("nft", ["-c", "-f", "-"], {
        input: buildRuleset(variant),
        encoding: "utf8",
      });
      assert.equal(status, 0, stderr);
    });
  }
  test("nft accepts the removal of missing tables", {
    skip: withRoot ? false : "needs root and nft",
  }, () => {
    const { status, stderr } = spawnSync("nft", ["-c", "-f", "-"], {
      input: buildRemoval("solnobody"),
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
  });
});

test("the rules match only our taps, and each chain of theirs ends in a drop", () => {
  const ruleset = buildRuleset(plan);
  assert.deepEqual(chainOf(ruleset, "bridge", "from_guests").slice(1), [`iifname "${prefix}*" goto guest`]);
  assert.deepEqual(chainOf(ruleset, "bridge", "to_guests").slice(1), [`oifname "${prefix}*" goto delivery`]);
  for (const chain of ["guest", "lease", "resolution", "egress_none", "egress_ab12"]) {
    assert.equal(chainOf(ruleset, "bridge", chain).at(-1), "counter drop", chain);
  }
  for (const hook of ["to_host", "through_host"]) {
    assert.match(chainOf(ruleset, "inet", hook)[1] ?? "", /^iifname "virbr0" ip saddr @guests /);
  }
});

test("open: private ranges are dropped after the operator's allowed ranges", () => {
  const egress = chainOf(buildRuleset({ ...plan, lanAccess: ["10.1.2.0/24"] }), "bridge", "egress_open");
  assert.deepEqual(egress, [
    "ip daddr 192.168.122.0/24 counter drop",
    "ip daddr { 10.1.2.0/24 } accept",
    `ip daddr { ${privateRanges.join(", ")} } counter drop`,
    "accept",
  ]);
});

test("a range around the guests' own network does not open that network; one inside it does", () => {
  assert.deepEqual(chainOf(buildRuleset(plan), "bridge", "egress_ab12"), [
    "ip daddr 192.168.122.0/24 counter drop",
    "ip daddr { 192.168.0.0/16, 203.0.113.7 } accept",
    "counter drop",
  ]);
  const inside = chainOf(buildRuleset({ ...plan, lanAccess: ["192.168.122.9"] }), "bridge", "egress_open");
  assert.equal(inside[0], "ip daddr { 192.168.122.9 } accept");
});

test("foreign address translation does not lead to a private network", () => {
  const rules = chainOf(buildRuleset(plan), "inet", "forwarded");
  assert.equal(rules.at(-1), `ip daddr { ${privateRanges.join(", ")} } counter drop`);
});

test("a DHCP request passes only with the card's own address in the message", () => {
  const [first, ...rules] = chainOf(buildRuleset(plan), "bridge", "lease");
  assert.match(first ?? "", /!= { 192.168.122.1, 255.255.255.255 } counter drop/);
  assert.deepEqual(rules, [
    `udp sport 68 ether saddr ${macAddress} @th,288,48 0x52543f9a1c00 accept`,
    "counter drop",
  ]);
});
