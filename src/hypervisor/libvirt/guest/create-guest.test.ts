import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { testSpec } from "../../../../test/hypervisor-contract/libvirt/harness.ts";
import { silentLog } from "../../../core/log.ts";
import type { RunCommand } from "../../../host/command.ts";
import { createLibvirtClient, type LibvirtClient } from "../../../libvirt/index.ts";
import { startFakeHypervisor } from "../../../libvirt/testing/fake-hypervisor.ts";
import type { FakeLibvirtServer } from "../../../libvirt/testing/fake-server.ts";
import type { LibvirtHost } from "../host.ts";
import { createMacAddresses } from "../mac-addresses.ts";
import { createGuest } from "./create-guest.ts";
import { startGuest } from "./power.ts";
import { removeGuest } from "./remove-guest.ts";

/** Stands for qemu-img: an image of one byte, and empty overlays. */
const run: RunCommand = async (_program, args) => {
  if (args[0] === "create") await writeFile(String(args.at(-2)), "");
  return { exitCode: 0, stdout: JSON.stringify({ "virtual-size": 1 }), stderr: "" };
};

let server: FakeLibvirtServer;
let client: LibvirtClient;
let host: LibvirtHost;
before(async () => {
  server = await startFakeHypervisor();
  client = await createLibvirtClient({ uri: server.uri });
  const guestsDir = await mkdtemp(join(tmpdir(), "solstice-create-"));
  host = {
    ...{ client, ownerId: "owner", network: "default", virtType: "qemu", guestsDir, run },
    ...{ reserveBytes: 0, domainLogDir: null, firewall: null, log: silentLog },
    macAddresses: createMacAddresses(guestsDir, "owner"),
    writeSeed: (path) => writeFile(path, ""),
  };
});
after(async () => {
  client.close();
  await server.remove();
  await rm(host.guestsDir, { recursive: true });
});

const spec = (attempt: number) =>
  testSpec({ jobId: "abc", attempt, behaviour: "brief", imagePath: "/images/tiny.qcow2" });
const look = ["domain_lookup_by_name", "domain_get_metadata", "domain_get_state"];

test("a guest is observed once, and only what the decision says is done", async () => {
  const calls = async (act: () => Promise<void>) => {
    server.calls.splice(0);
    await act();
    return [...server.calls];
  };
  assert.deepEqual(await calls(() => createGuest(host, spec(1))), [
    "domain_lookup_by_name",
    "domain_define_xml_flags",
  ]);
  assert.deepEqual(await calls(() => createGuest(host, spec(1))), look, "it is complete");
  await startGuest(host, "abc");
  assert.deepEqual(
    await calls(() => createGuest(host, spec(2))),
    [...look, "domain_destroy_flags", "domain_undefine_flags", "domain_define_xml_flags"],
    "the earlier attempt goes first",
  );
  await assert.rejects(createGuest(host, spec(1)), { code: "already_exists" });
  assert.deepEqual(await calls(() => removeGuest(host, "abc")), [...look, "domain_undefine_flags"]);
  assert.deepEqual(await calls(() => removeGuest(host, "abc")), ["domain_lookup_by_name"]);
  assert.deepEqual(await readdir(host.guestsDir), []);
});
