import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../support/until.ts";
import { openStandIn, type StandIn } from "./stand-in.ts";
import { installWaitingZone, listedState, must, refuses, runIn, zoneCommands } from "./testing.ts";

let standIn: StandIn;
before(async () => {
  standIn = await openStandIn();
  await must(standIn, "zfs", "create", "rpool/zones");
});
after(() => standIn.close());

test("the n-th call that matches fails with a text, the others do not", async () => {
  standIn.fail({ command: "zfs", arguments: /^create/, nth: 2, stderr: "cannot create 'x': out of space" });
  await must(standIn, "zfs", "create", "rpool/one");
  await must(standIn, "zfs", "list");
  await refuses(standIn, ["zfs", "create", "rpool/two"], 1, "cannot create 'x': out of space");
  await must(standIn, "zfs", "create", "rpool/two");
});

test("a command that hangs continues when it is released; one that is delayed takes its time", async () => {
  const hang = standIn.fault({ command: "zfs", arguments: /rpool\/slow/ }, { kind: "hang" });
  const answer = runIn(standIn, "zfs", "create", "rpool/slow");
  await must(standIn, "zfs", "create", "rpool/quick");
  assert.ok(!standIn.datasets().some(({ name }) => name === "rpool/slow"));
  hang.release();
  assert.equal((await answer).exitCode, 0);
  standIn.delay({ command: "zfs", arguments: /list/, ms: 300 });
  await must(standIn, "zfs", "list");
  assert.ok((standIn.commands().at(-1)?.ms ?? 0) >= 300);
});

test("a command that dies halfway leaves its partial work", async () => {
  await must(standIn, "zonecfg", "-z", "h", zoneCommands(standIn, "h"));
  standIn.fault({ command: "zoneadm", arguments: /install/ }, { kind: "die", when: "halfway" });
  await assert.rejects(runIn(standIn, "zoneadm", "-z", "h", "install"), /SIGKILL/);
  assert.equal(standIn.commands().at(-1)?.exitCode, null);
  assert.equal(await listedState(standIn, "h"), "incomplete");
  await must(standIn, "zoneadm", "-z", "h", "uninstall", "-F");
  await installWaitingZone(standIn, "b");
  standIn.fault({ command: "zoneadm", arguments: /boot/ }, { kind: "die", when: "halfway" });
  await assert.rejects(runIn(standIn, "zoneadm", "-z", "b", "boot"), /SIGKILL/);
  assert.equal(await listedState(standIn, "b"), "running", "the guest keeps running");
});

test("a command that dies before or after its work: the result is the same, the host's state differs", async () => {
  for (const when of ["before", "after"] as const) {
    standIn.fault({ command: "zfs", arguments: /create/ }, { kind: "die", when });
    await assert.rejects(runIn(standIn, "zfs", "create", `rpool/${when}`), /SIGKILL/);
  }
  const names = standIn.datasets().map(({ name }) => name);
  assert.deepEqual(
    names.filter((name) => /before|after/.test(name)),
    ["rpool/after"],
  );
});

test("a host that reboots has no running guest", async () => {
  await installWaitingZone(standIn, "r");
  await must(standIn, "zoneadm", "-z", "r", "boot");
  await standIn.rebootHost();
  await until("the zone is down", async () => (await listedState(standIn, "r")) === "installed");
});
