/** Tests the programs of bin/, which other processes find by PATH. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type CommandOptions, runCommand } from "../../src/host/command.ts";
import { until } from "../support/until.ts";
import { openStandIn, type StandIn } from "./stand-in.ts";
import { must, zoneCommands } from "./testing.ts";

let standIn: StandIn;
before(async () => {
  standIn = await openStandIn();
});
after(() => standIn.close());

/** Accepts every exit code. */
const acceptExitCodes = Array.from({ length: 256 }, (_, code) => code);

function byPath(program: string, args: readonly string[], options: CommandOptions = {}) {
  const variables = Object.entries(standIn.environment).map(([name, value]) => `${name}=${value}`);
  return runCommand("env", [...variables, program, ...args], { acceptExitCodes, ...options });
}

test("a program has the result of its command in this process: both outputs and the exit code", async () => {
  await must(standIn, "zfs", "create", "rpool/zones");
  await must(standIn, "zonecfg", "-z", "p", zoneCommands(standIn, "p"));
  const calls: readonly (readonly [string, ...string[]])[] = [
    ["zfs", "list", "-H", "-o", "name"],
    ["zfs", "get", "-H", "-o", "value", "mountpoint", "rpool/none"],
    ["zpool", "list"],
    ["zonename"],
    ["zoneadm", "list", "-cp"],
    ["zoneadm", "-z", "none", "boot"],
    ["zonecfg", "-z", "p", 'set nonsense="ü\n"'],
    ["zonecfg", "-z", "p", "export"],
    ["dladm", "show-link", "-p", "-o", "link,class", ""],
    ["ipadm", "frobnicate"],
    ["dd", "bs=1m"],
  ];
  for (const [program, ...args] of calls) {
    const here = await standIn.run(program, args, { acceptExitCodes });
    assert.deepEqual(await byPath(program, args), here, `${program} ${args.join(" ")}`);
  }
  const kinds = new Set(calls.map(([program]) => program));
  assert.equal(kinds.size, 8, "each program was called");
});

test("a command that dies ends its program, and a program that is killed ends its command", async () => {
  standIn.fault({ command: "zfs", arguments: /rpool\/dead/ }, { kind: "die", when: "after" });
  // `env` becomes the program, so it receives the signal itself.
  await assert.rejects(byPath("zfs", ["create", "rpool/dead"]), { message: /was ended by SIGKILL/ });
  const hang = standIn.fault({ command: "zfs", arguments: /rpool\/never/ }, { kind: "hang" });
  const leaving = new AbortController();
  const never = byPath("zfs", ["create", "rpool/never"], { signal: leaving.signal });
  leaving.abort();
  await assert.rejects(never);
  hang.release();
  const waiting = standIn.fault({ command: "zfs", arguments: /rpool\/late/ }, { kind: "hang" });
  await assert.rejects(byPath("zfs", ["create", "rpool/late"], { deadlineSeconds: 1 }), {
    message: /did not end within 1 s/,
  });
  await until("the command has ended", () =>
    standIn.commands().some(({ exitCode, args }) => exitCode === null && args.includes("rpool/late")),
  );
  waiting.release();
  const names = standIn.datasets().map(({ name }) => name);
  assert.ok(names.includes("rpool/dead"));
  assert.ok(!names.some((name) => /never|late/.test(name)), "what was killed did no more");
});
