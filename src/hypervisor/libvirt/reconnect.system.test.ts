import assert from "node:assert/strict";
import { chownSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { writeTestSeed } from "../../../test/hypervisor-contract/libvirt/harness.ts";
import { silentLog } from "../../core/log.ts";
import { createLibvirtClient } from "../../libvirt/index.ts";
import { missingLibvirtd, startPrivateLibvirtd } from "../../libvirt/testing/private-libvirtd.ts";
import { createLibvirtHypervisor } from "./libvirt.ts";

const TIMEOUT_MS = 60_000;

describe("a libvirtd that comes back", { skip: missingLibvirtd() }, () => {
  test("after kill -9 and a restart, every guest must be read again", async () => {
    const daemon = await startPrivateLibvirtd();
    const dataDir = join(daemon.directory, "solstice");
    await mkdir(dataDir);
    chownSync(dataDir, daemon.uid, daemon.gid);
    const hypervisor = createLibvirtHypervisor({
      uri: daemon.uri,
      network: "net",
      virtType: "auto",
      dataDir,
      ownerId: "test",
      writeSeed: writeTestSeed,
      log: silentLog,
      firewall: null,
      probeKvm: async () => ({ works: false, detail: "not tried" }),
    });
    try {
      // Only a network on an existing bridge can be started without privileges.
      const xml = "<network><name>net</name><forward mode='bridge'/><bridge name='br-none'/></network>";
      const client = await createLibvirtClient({ uri: daemon.uri });
      await client.defineNetworkXml(xml);
      client.close();
      await hypervisor.prepare();
      const reported = new Promise<string | null>((resolve, reject) => {
        hypervisor.onChange(resolve);
        AbortSignal.timeout(TIMEOUT_MS).addEventListener("abort", () =>
          reject(new Error("no notification arrived")),
        );
      });
      await daemon.kill();
      await daemon.restart();
      assert.equal(await reported, null);
      assert.deepEqual((await hypervisor.listInventory()).domains, []);
    } finally {
      await hypervisor.close();
      await daemon.stop();
    }
  });
});
