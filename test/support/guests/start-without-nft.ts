/**
 * A separate process that starts a guest on a host that has just lost its `nft`. Arguments: the data directory, the
 * owner, the job, the runner's URL, and the `nft` of its PATH, which the process removes. Prints code and remedy of
 * the failure as JSON.
 */

import { unlink } from "node:fs/promises";
import { SolsticeError } from "../../../src/core/errors.ts";
import { silentLog } from "../../../src/core/log.ts";
import { createLibvirtHypervisor } from "../../../src/hypervisor/libvirt/libvirt.ts";
import { SYSTEM_URI, writeTestSeed } from "../../hypervisor-contract/libvirt/harness.ts";

const [dataDir = "", ownerId = "", jobId = "", runnerUrl = "", nft = ""] = process.argv.slice(2);
const hypervisor = createLibvirtHypervisor({
  ...{ uri: SYSTEM_URI, network: "default", virtType: "qemu", dataDir, ownerId },
  ...{ writeSeed: writeTestSeed, log: silentLog },
  firewall: { egress: () => ["open"], lanAccess: [], hostPorts: [] },
});
await hypervisor.prepare();
await hypervisor.ensureFirewall(runnerUrl);
await unlink(nft);
try {
  await hypervisor.start(jobId);
} catch (error) {
  if (!(error instanceof SolsticeError)) throw error;
  const { code, remedy } = error;
  process.stdout.write(JSON.stringify({ code, remedy }));
} finally {
  await hypervisor.close();
}
