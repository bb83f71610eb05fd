import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { runCommand } from "../../src/host/command.ts";
import { tinyImage, tinySeed, writeTestSeed } from "../hypervisor-contract/libvirt/harness.ts";
import { until } from "../support/until.ts";
import { openStandIn, type StandIn } from "./stand-in.ts";
import { must, runIn, zoneCommands } from "./testing.ts";

interface GuestOptions {
  readonly seedAs?: "cdrom" | "disk0";
  /** Additional attributes of the zone. */
  readonly more?: Readonly<Record<string, string>>;
  /** Time limit of `zoneadm shutdown`. */
  readonly shutdownSeconds?: number;
}

/** Makes a host with the tiny guest's image, a network, and a guest that is configured and installed. */
async function openGuest(
  script: string,
  { seedAs = "cdrom", more: added = {}, shutdownSeconds = 60 }: GuestOptions = {},
): Promise<{ standIn: StandIn; console(): string; connectConsole(): void; port(number: 1 | 2): Socket }> {
  const standIn = await openStandIn({ shutdownSeconds });
  const raw = join(standIn.directory, "tiny.raw");
  const seed = join(standIn.directory, "seed.iso");
  await runCommand("qemu-img", ["convert", "-O", "raw", await tinyImage(), raw]);
  await writeTestSeed(seed, tinySeed("0001", script));
  await must(standIn, "zfs", "create", "rpool/zones");
  await must(standIn, "zfs", "create", "-V", "22M", "rpool/image");
  await must(standIn, "dd", `if=${raw}`, "of=/dev/zvol/rdsk/rpool/image", "bs=1M");
  await must(standIn, "zfs", "snapshot", "rpool/image@ready");
  await must(standIn, "zfs", "clone", "-o", "sync=disabled", "rpool/image@ready", "rpool/ci-1");
  await must(standIn, "zfs", "set", "volsize=64M", "rpool/ci-1");
  await must(standIn, "dladm", "create-etherstub", "stub0");
  await must(standIn, "dladm", "create-vnic", "-t", "-l", "stub0", "host0");
  await must(standIn, "ipadm", "create-addr", "-t", "-T", "static", "-a", "10.88.0.1/24", "host0/v4");
  await must(standIn, "dladm", "create-vnic", "-t", "-l", "stub0", "-m", "2:8:20:0:0:7", "ci1");
  await must(standIn, "dladm", "set-linkprop", "-t", "-p", "allowed-ips=10.88.0.7", "ci1");
  const words = Object.entries({
    bootdisk: "rpool/ci-1",
    [seedAs]: seed,
    ram: "192M",
    vcpus: "1",
    console: "socket,/tmp/vm.com1,wait",
    ...added,
  }).map(([name, value]) => `add attr; set name=${name}; set type=string; set value=${value}; end; `);
  const more =
    "add net; set physical=ci1; end; add device; set match=/dev/zvol/rdsk/rpool/ci-1; end; " +
    `add fs; set dir=${seed}; set special=${seed}; set type=lofs; add options ro; add options nodevices; end; `;
  await must(standIn, "zonecfg", "-z", "ci-1", zoneCommands(standIn, "ci-1", more + words.join("")));
  await must(standIn, "zoneadm", "-z", "ci-1", "install");
  let text = "";
  const port = (number: 1 | 2) => {
    const socket = connect(join(standIn.directory, `rpool/zones/ci-1/root/tmp/vm.com${number}`));
    socket.on("error", () => {});
    return socket;
  };
  return {
    standIn,
    console: () => text,
    connectConsole() {
      port(1).on("data", (chunk) => {
        text += chunk.toString();
      });
    },
    port,
  };
}

function stateOf(standIn: StandIn): string | undefined {
  return standIn.zones().find(({ name }) => name === "ci-1")?.state;
}

for (const seedAs of ["cdrom", "disk0"] as const) {
  test(`a guest whose seed is its ${seedAs} boots, prints on its console, and is shut down gracefully`, async (context) => {
    const guest = await openGuest('echo "guest is up" >/dev/console\n', { seedAs });
    context.after(() => guest.standIn.close());
    await must(guest.standIn, "zoneadm", "-z", "ci-1", "boot");
    assert.equal(stateOf(guest.standIn), "running");
    guest.connectConsole();
    await until("the guest prints", () => guest.console().includes("guest is up"));
    await must(guest.standIn, "zoneadm", "-z", "ci-1", "shutdown");
    assert.equal(stateOf(guest.standIn), "installed");
    await must(guest.standIn, "zoneadm", "-z", "ci-1", "uninstall", "-F");
    await must(guest.standIn, "zonecfg", "-z", "ci-1", "delete", "-F");
    await must(guest.standIn, "dladm", "delete-vnic", "ci1");
    await must(guest.standIn, "zfs", "destroy", "rpool/ci-1");
  });
}

test("a guest that powers itself off leaves its zone installed, and its link unused", async (context) => {
  const guest = await openGuest('echo "guest is up" >/dev/console\npoweroff -f\n', {
    more: { diskif: "ahci" },
  });
  context.after(() => guest.standIn.close());
  await must(guest.standIn, "zoneadm", "-z", "ci-1", "boot");
  guest.connectConsole();
  await until("the guest is off", () => stateOf(guest.standIn) === "installed");
  assert.match(guest.console(), /guest is up/);
  await must(guest.standIn, "dladm", "delete-vnic", "ci1");
});

// zoneadm.c shutdown_func() and zoneadmd.c zone_graceful_shutdown().
test("a guest that ignores the power button stays, and zoneadm reports it after its time limit", async (context) => {
  const ignore = "printf '#!/bin/sh\\ntrue\\n' >/etc/acpi/PWRF/00000080\n";
  const guest = await openGuest(`${ignore}echo "guest is up" >/dev/console\n`, { shutdownSeconds: 3 });
  context.after(() => guest.standIn.close());
  await must(guest.standIn, "zoneadm", "-z", "ci-1", "boot");
  guest.connectConsole();
  await until("the guest prints", () => guest.console().includes("guest is up"));
  const shutdown = await runIn(guest.standIn, "zoneadm", "-z", "ci-1", "shutdown");
  assert.equal(shutdown.exitCode, 1);
  assert.match(shutdown.stderr, /^zone 'ci-1': unable to shutdown zone$/m);
  assert.equal(stateOf(guest.standIn), "running");
  await must(guest.standIn, "zoneadm", "-z", "ci-1", "halt");
  assert.equal(stateOf(guest.standIn), "installed");
});

test("a guest reaches this machine's loopback through its gateway, and has a second serial port", async (context) => {
  const server = createServer((_, response) => response.end("hello from the host"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const guest = await openGuest(
    `wget -q -O - http://10.88.0.1:${port}/ >/dev/console\nexec 5<>/dev/ttyS1; stty raw -echo <&5; cat <&5 >&5 &\necho "guest is up" >/dev/console\n`,
    { more: { extra: '"-l com2,socket,/tmp/vm.com2"' } },
  );
  context.after(() => guest.standIn.close());
  await must(guest.standIn, "zoneadm", "-z", "ci-1", "boot");
  guest.connectConsole();
  await until("the guest prints", () => guest.console().includes("guest is up"));
  assert.match(guest.console(), /hello from the host/);
  let echo = "";
  const second = guest.port(2).on("data", (chunk) => {
    echo += chunk.toString();
  });
  second.write("ping");
  await until("the second port echoes", () => echo.includes("ping"));
  second.destroy();
  await must(guest.standIn, "zoneadm", "-z", "ci-1", "halt");
});
