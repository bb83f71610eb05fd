import assert from "node:assert/strict";
import { chmod, mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { identify, killProcess, waitForEnd } from "./host/processes.ts";
import { openStandIn, type StandIn } from "./stand-in.ts";
import {
  attributes,
  installWaitingZone,
  listedState,
  must,
  refuses,
  runIn,
  zoneCommands,
  zonepathOf,
} from "./testing.ts";

let standIn: StandIn;
before(async () => {
  standIn = await openStandIn({ shutdownSeconds: 20 });
  await must(standIn, "zfs", "create", "rpool/zones");
});
after(() => standIn.close());

const zoneadm = (zone: string, operation: string, ...expected: (string | number)[]) =>
  refuses(standIn, ["zoneadm", "-z", zone, ...operation.split(" ")], ...expected);

/** Every operation in every initial state of a zone, with the messages of zoneadm.c, zoneadmd.c and libzonecfg. */
const refusals: Record<string, Record<string, (string | number)[]>> = {
  configured: {
    boot: [1, "zoneadm: zone 'z': must be installed before boot."],
    halt: [1, "cannot manage a zone which is in state 'configured'", "zone 'z': could not start zoneadmd"],
    shutdown: [1, "zoneadm: zone 'z': not running"],
    reboot: [1, "zoneadm: zone 'z': not running"],
    "uninstall -F": [1, "zoneadm: zone 'z': is already in state 'configured'."],
  },
  incomplete: {
    install: [1, "zoneadm: zone 'z': zone is incomplete; uninstall required."],
    verify: [1, "zoneadm: zone 'z': zone is incomplete; uninstall required."],
    boot: [1, "zoneadm: zone 'z': must be installed before boot."],
    halt: [1, "zone 'z': halt operation is invalid for zones in state 'incomplete'"],
    shutdown: [1, "zoneadm: zone 'z': not running"],
  },
  installed: {
    install: [1, "zoneadm: zone 'z': is already installed."],
    halt: [0, "zone 'z': zone is already halted"],
    shutdown: [1, "zoneadm: zone 'z': not running"],
    reboot: [1, "zoneadm: zone 'z': not running"],
    uninstall: [1, "zoneadm: zone 'z': Input not from terminal and -F not specified: uninstall not done."],
  },
  running: {
    install: [1, "zoneadm: zone 'z': install operation is invalid for running zones."],
    boot: [0, "zone 'z': zone is already booted"],
    "uninstall -F": [1, "zoneadm: zone 'z': uninstall operation is invalid for running zones."],
    "mark incomplete": [1, "zoneadm: zone 'z': mark operation is invalid for running zones."],
  },
};

async function refuseAll(state: string): Promise<void> {
  assert.equal(await listedState(standIn, "z"), state);
  for (const [operation, expected] of Object.entries(refusals[state] ?? {}))
    await zoneadm("z", operation, ...expected);
  assert.equal(await listedState(standIn, "z"), state, "a refusal changes nothing");
}

test("a zone's life, and the refused operations at each of its states", async () => {
  await zoneadm("none", "boot", 1, "zoneadm: none: No such zone configured");
  await zoneadm("none", "list", 1, "zoneadm: none: No such zone configured");
  await must(standIn, "zfs", "create", "-s", "-V", "1M", "rpool/z");
  const more = `add device; set match=/dev/zvol/rdsk/rpool/z; end; ${attributes({ bootdisk: "rpool/z", ram: "64M", console: "socket,/tmp/vm.com1,wait" })}`;
  await must(standIn, "zonecfg", "-z", "z", zoneCommands(standIn, "z", more));
  await refuseAll("configured");
  assert.equal(
    await must(standIn, "zoneadm", "-z", "z", "install"),
    "A ZFS file system has been created for this zone.\n",
  );
  await refuseAll("installed");
  assert.equal((await stat(zonepathOf(standIn, "z"))).mode & 0o777, 0o700);
  await must(standIn, "zoneadm", "-z", "z", "mark", "incomplete");
  await refuseAll("incomplete");
  assert.equal(
    await must(standIn, "zoneadm", "-z", "z", "uninstall", "-F"),
    "The ZFS file system for this zone has been destroyed.\n",
  );
  await refuseAll("configured");
  await must(standIn, "zoneadm", "-z", "z", "install");
  await must(standIn, "zoneadm", "-z", "z", "boot");
  await refuseAll("running");
  await refuses(standIn, ["zfs", "destroy", "rpool/z"], 1, "cannot destroy 'rpool/z': dataset is busy");
  await refuses(
    standIn,
    ["zfs", "destroy", "rpool/zones/z"],
    1,
    `cannot unmount '${zonepathOf(standIn, "z")}': Device busy`,
  );
  const [first] = [standIn.guestPid("z")];
  await must(standIn, "zoneadm", "-z", "z", "reboot");
  assert.notEqual(standIn.guestPid("z"), first);
  await must(standIn, "zoneadm", "-z", "z", "halt");
  await refuseAll("installed");
});

test("list: columns to parse by position, with OmniOS' eighth, and the listed zones", async () => {
  await installWaitingZone(standIn, "l");
  const zonepath = zonepathOf(standIn, "l");
  const uuid = standIn.zones().find(({ name }) => name === "l")?.uuid ?? "";
  assert.match(uuid, /^[0-9a-f-]{36}$/);
  const line = await must(standIn, "zoneadm", "-z", "l", "list", "-p");
  assert.match(line, new RegExp(`^-:l:installed:${zonepath}:${uuid}:bhyve:excl:\\d+\n$`));
  assert.match(await must(standIn, "zoneadm", "list", "-cp"), /^0:global:running:\/::ipkg:shared:0\n/);
  assert.equal(await must(standIn, "zoneadm", "list"), "global\n");
  assert.equal(await must(standIn, "zoneadm", "list", "-n"), "");
  await must(standIn, "zoneadm", "-z", "l", "boot");
  assert.match(await must(standIn, "zoneadm", "list", "-np"), /^\d+:l:running:/);
  await refuses(standIn, ["zoneadm", "list", "-pv"], 1, "zoneadm: list -p and -v are mutually exclusive.");
  assert.match(await must(standIn, "zoneadm", "list", "-iv"), /^ {2}ID NAME {13}STATUS/);
});

test("a guest that is killed leaves its zone installed, its number gone and its link unprotected", async () => {
  await must(standIn, "dladm", "create-etherstub", "stub0");
  await must(standIn, "dladm", "create-vnic", "-t", "-l", "stub0", "k0");
  await must(
    standIn,
    "dladm",
    "set-linkprop",
    "-t",
    "-p",
    "protection=ip-nospoof,allowed-ips=10.0.0.7",
    "k0",
  );
  await installWaitingZone(standIn, "k");
  await must(standIn, "zonecfg", "-z", "k", "add net; set physical=k0; end");
  await must(standIn, "zoneadm", "-z", "k", "boot");
  await refuses(standIn, ["dladm", "delete-vnic", "k0"], 1, "dladm: vnic deletion failed: link busy");
  const protection = () =>
    must(standIn, "dladm", "show-linkprop", "-c", "-o", "value", "-p", "protection", "k0");
  assert.equal(await protection(), "ip-nospoof\n");
  const guest = identify(standIn.guestPid("k") ?? 0);
  assert.ok(guest);
  killProcess(guest);
  assert.ok(await waitForEnd(guest, 10_000));
  assert.equal(await listedState(standIn, "k"), "installed");
  assert.equal(await protection(), "\n", "remove_datalink_protect of vplat.c");
  await must(standIn, "dladm", "delete-vnic", "k0");
});

test("links: a missing one causes a warning and then fails the boot, allowed-address requires an unprotected one", async () => {
  await installWaitingZone(standIn, "n");
  await must(standIn, "zonecfg", "-z", "n", "add net; set physical=n0; end");
  const called = "zoneadm: zone 'n': call to zoneadmd failed";
  await zoneadm(
    "n",
    "boot",
    1,
    "WARNING: skipping network interface 'n0': object not found",
    "zone 'n': failed to add network device: Invalid argument",
    called,
  );
  await must(standIn, "dladm", "create-vnic", "-t", "-l", "igb0", "n0");
  await must(standIn, "dladm", "set-linkprop", "-t", "-p", "protection=ip-nospoof", "n0");
  await must(standIn, "zonecfg", "-z", "n", "select net physical=n0; set allowed-address=10.0.0.9/24; end");
  await zoneadm(
    "n",
    "boot",
    1,
    "zone 'n': Protection is already set",
    "zone 'n': failed to add address: Invalid argument",
    called,
  );
  await must(standIn, "zoneadm", "-z", "n", "boot");
  assert.equal(
    await must(standIn, "dladm", "show-linkprop", "-c", "-o", "value", "-p", "allowed-ips", "n0"),
    "10.0.0.9\n",
  );
});

test("bhyve without its disk does not fail the boot: the zone is down again, and init.log has the reason", async () => {
  await must(
    standIn,
    "zonecfg",
    "-z",
    "d",
    zoneCommands(standIn, "d", attributes({ bootdisk: "rpool/missing" })),
  );
  await must(standIn, "zoneadm", "-z", "d", "install");
  await must(standIn, "zoneadm", "-z", "d", "boot");
  assert.equal(await listedState(standIn, "d"), "installed");
  const log = join(zonepathOf(standIn, "d"), "root/tmp/init.log");
  assert.match(await readFile(log, "utf8"), /\/dev\/zvol\/rdsk\/rpool\/missing: No such file or directory/);
});

test("boot refuses unknown firmware and missing file systems", async () => {
  await installWaitingZone(standIn, "f");
  await must(standIn, "zonecfg", "-z", "f", attributes({ bootrom: "NONE" }));
  const program = `exec /usr/lib/brand/bhyve/boot f ${zonepathOf(standIn, "f")} failed`;
  await zoneadm(
    "f",
    "boot",
    1,
    "zone 'f': bootrom NONE not found.",
    `zone 'f': ${program}`,
    "zoneadm: zone 'f': call to zoneadmd failed",
  );
  await must(standIn, "zonecfg", "-z", "f", "add fs; set dir=/a; set special=/none; set type=lofs; end");
  await zoneadm(
    "f",
    "boot",
    1,
    "could not verify fs /a: could not access /none: No such file or directory",
    "zoneadm: zone f failed to verify",
  );
});

test("install refuses a zonepath that other users can read", async () => {
  await must(standIn, "zonecfg", "-z", "p", zoneCommands(standIn, "p"));
  const zonepath = zonepathOf(standIn, "p");
  await mkdir(zonepath);
  await chmod(zonepath, 0o750);
  await zoneadm(
    "p",
    "install",
    1,
    `${zonepath} must not be group readable.`,
    `${zonepath} must not be group executable.`,
    `could not verify zonepath ${zonepath} because of the above errors.`,
    "zoneadm: zone p failed to verify",
  );
  assert.equal(await listedState(standIn, "p"), "configured");
});

test("operations on one zone wait for each other (F_SETLKW of libzonecfg)", async () => {
  await installWaitingZone(standIn, "w");
  const results = await Promise.all([1, 2, 3].map(() => runIn(standIn, "zoneadm", "-z", "w", "boot")));
  assert.deepEqual(
    results.map(({ exitCode }) => exitCode),
    [0, 0, 0],
  );
  assert.equal(results.filter(({ stderr }) => stderr.includes("already booted")).length, 2);
});
