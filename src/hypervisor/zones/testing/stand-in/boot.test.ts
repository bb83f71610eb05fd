import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../../../../../test/support/until.ts";
import { runCommand } from "../../../../host/command.ts";
import { tinyImage, tinySeed, writeTestSeed } from "../../../testing/libvirt-harness.ts";
import { openStandIn, type StandIn } from "./stand-in.ts";
import { must, zoneCommands } from "./testing.ts";

/** Makes a host with the tiny guest's image, a network, and a guest that is configured and installed. */
async function openGuest(
  script: string,
  seedAs: "cdrom" | "disk0",
): Promise<{ standIn: StandIn; console(): string; connectConsole(): void }> {
  const standIn = await openStandIn({ shutdownSeconds: 60 });
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
  const attributes = Object.entries({
    bootdisk: "rpool/ci-1",
    [seedAs]: seed,
    ram: "192M",
    vcpus: "1",
    console: "socket,/tmp/vm.com1,wait",
  }).map(([name, value]) => `add attr; set name=${name}; set type=string; set value=${value}; end; `);
  const more =
    "add net; set physical=ci1; end; add device; set match=/dev/zvol/rdsk/rpool/ci-1; end; " +
    `add fs; set dir=${seed}; set special=${seed}; set type=lofs; add options ro; add options nodevices; end; `;
  await must(standIn, "zonecfg", "-z", "ci-1", zoneCommands(standIn, "ci-1", more + attributes.join("")));
  await must(standIn, "zoneadm", "-z", "ci-1", "install");
  let text = "";
  let socket: Socket | null = null;
  return {
    standIn,
    console: () => text,
    connectConsole() {
      socket = connect(join(standIn.directory, "rpool/zones/ci-1/root/tmp/vm.com1"));
      socket.on("data", (chunk) => {
        text += chunk.toString();
      });
      socket.on("error", () => {});
    },
  };
}

function stateOf(standIn: StandIn): string | undefined {
  return standIn.zones().find(({ name }) => name === "ci-1")?.state;
}

for (const seedAs of ["cdrom", "disk0"] as const) {
  test(`a guest whose seed is its ${seedAs} boots, is heard, reaches this machine, and is shut down gracefully`, async (context) => {
    const guest = await openGuest('echo "guest is up" >/dev/console\n', seedAs);
    context.after(() => guest.standIn.close());
    await must(guest.standIn, "zoneadm", "-z", "ci-1", "boot");
    assert.equal(stateOf(guest.standIn), "running");
    guest.connectConsole();
    await until("the guest speaks", () => guest.console().includes("guest is up"));
    await must(guest.standIn, "zoneadm", "-z", "ci-1", "shutdown");
    assert.equal(stateOf(guest.standIn), "installed");
    await must(guest.standIn, "zoneadm", "-z", "ci-1", "uninstall", "-F");
    await must(guest.standIn, "zonecfg", "-z", "ci-1", "delete", "-F");
    await must(guest.standIn, "dladm", "delete-vnic", "ci1");
    await must(guest.standIn, "zfs", "destroy", "rpool/ci-1");
  });
}
