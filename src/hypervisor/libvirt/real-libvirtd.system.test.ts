import assert from "node:assert/strict";
import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { randomJobId, waitForPower } from "../../../test/hypervisor-contract/contract.ts";
import {
  missingSystemLibvirt,
  openTemporaryDirectory,
  SYSTEM_URI,
  testSpec,
  tinyImage,
  writeTestSeed,
} from "../../../test/hypervisor-contract/libvirt/harness.ts";
import { guestName } from "../../core/job/job.ts";
import { silentLog } from "../../core/log.ts";
import type { LibvirtClient } from "../../libvirt/index.ts";
import { createLibvirtClient } from "../../libvirt/index.ts";
import { guestsDirectory } from "../guest-directories.ts";
import type { GuestSpec, Hypervisor } from "../hypervisor.ts";
import { guestPaths } from "./guest/guest-paths.ts";
import type { LibvirtHypervisorOptions } from "./libvirt.ts";
import { createLibvirtHypervisor } from "./libvirt.ts";
import { sharedPrefix } from "./mac-addresses.ts";

describe("the libvirt backend and its libvirtd", { skip: await missingSystemLibvirt() }, () => {
  let dataDir: string;
  let imagePath: string;
  let client: LibvirtClient;
  const open: Hypervisor[] = [];
  const jobIds: string[] = [];
  const ownerId = randomJobId();

  before(async () => {
    dataDir = await openTemporaryDirectory();
    imagePath = await tinyImage();
    client = await createLibvirtClient({ uri: SYSTEM_URI });
  });
  after(async () => {
    const janitor = await prepared();
    for (const jobId of jobIds) await janitor.remove(jobId);
    for (const hypervisor of open) await hypervisor.close();
    client.close();
    await rm(dataDir, { recursive: true });
  });

  function create(changes: Partial<LibvirtHypervisorOptions> = {}): Hypervisor {
    const hypervisor = createLibvirtHypervisor({
      uri: SYSTEM_URI,
      network: "default",
      virtType: "qemu",
      dataDir,
      ownerId,
      writeSeed: writeTestSeed,
      log: silentLog,
      firewall: null,
      ...changes,
    });
    open.push(hypervisor);
    return hypervisor;
  }

  async function prepared(changes: Partial<LibvirtHypervisorOptions> = {}): Promise<Hypervisor> {
    const hypervisor = create(changes);
    await hypervisor.prepare();
    return hypervisor;
  }

  function newSpec(changes: Partial<GuestSpec> = {}): GuestSpec {
    const jobId = randomJobId();
    jobIds.push(jobId);
    return { ...testSpec({ jobId, attempt: 1, behaviour: "obedient", imagePath }), ...changes };
  }

  test("calls fail before prepare, and prepare fails without libvirtd", async () => {
    await assert.rejects(create().listInventory(), { code: "hypervisor_unavailable" });
    const elsewhere = create({ uri: "qemu+unix:///system?socket=/nonexistent" });
    await assert.rejects(elsewhere.prepare(), { code: "hypervisor_unavailable", remedy: /libvirtd/ });
  });

  test("the error for a missing network has its name and the command that defines it", async () => {
    await assert.rejects(create({ network: "nope" }).prepare(), {
      code: "network_missing",
      message: /no network 'nope'/,
      remedy: /virsh net-define/,
    });
  });

  test("an inactive network is started, and set to start with libvirtd", async () => {
    const name = `net-${ownerId.slice(0, 8)}`;
    const network = await client.defineNetworkXml(`<network><name>${name}</name></network>`);
    try {
      const hypervisor = await prepared({ network: name });
      assert.equal(await client.networkActive(network), true);
      assert.equal(await client.networkAutostart(network), true);
      await assert.rejects(hypervisor.runnerHost(), { code: "network_missing", remedy: /RUNNER_LISTEN/ });
      await client.destroyNetwork(network);
      const spec = newSpec();
      await hypervisor.create(spec);
      await assert.rejects(hypervisor.start(spec.jobId), {
        code: "network_missing",
        message: /is not active/,
      });
    } finally {
      await client.undefineNetwork(network);
    }
  });

  test("a lost host's guest of that name is replaced, another owner's is not", async () => {
    const lost = await prepared({ ownerId: `${ownerId}-lost`, dataDir: join(dataDir, "lost") });
    const ours = await prepared();
    const first = newSpec();
    const { jobId } = first;
    await lost.create(first);
    await lost.start(jobId);
    for (const refused of [
      { attempt: 2, formerHosts: [] },
      { attempt: 2, formerHosts: ["another-host"] },
      { attempt: 1, formerHosts: [`${ownerId}-lost`] },
    ]) {
      await assert.rejects(ours.create({ ...first, ...refused }), { code: "already_exists" });
      assert.equal(await lost.power(jobId), "running");
    }
    await ours.create({ ...first, attempt: 2, formerHosts: [`${ownerId}-lost`] });
    await ours.start(jobId);
    // The lost host is back: it removes its own files, and does not touch the new guest.
    assert.equal(await lost.power(jobId), "stopped");
    await lost.remove(jobId);
    assert.equal(await lost.power(jobId), "absent");
    assert.equal(await ours.power(jobId), "running");
    await ours.remove(jobId);
  });

  test("the error for a network that cannot start has the reason", async () => {
    const hypervisor = await prepared();
    const name = `clash-${ownerId.slice(0, 8)}`;
    const address = await hypervisor.runnerHost();
    const network = await client.defineNetworkXml(
      `<network><name>${name}</name><ip address='${address}' netmask='255.255.255.0'/></network>`,
    );
    try {
      await assert.rejects(create({ network: name }).prepare(), {
        code: "network_missing",
        message: /already in use by interface/,
      });
    } finally {
      await client.undefineNetwork(network);
    }
  });

  test("files are readable only for QEMU", async () => {
    const hypervisor = await prepared();
    const spec = newSpec();
    await hypervisor.create(spec);
    const paths = guestPaths(guestsDirectory(dataDir), spec.jobId);
    const mode = async (path: string) => (await stat(path)).mode & 0o777;
    assert.equal(await mode(paths.directory), 0o711);
    assert.equal(await mode(paths.seed), 0o600);
    assert.equal(await mode(paths.overlay), 0o600);
    await hypervisor.remove(spec.jobId);
  });

  test("a disk has the requested size, and is never smaller than the image", async () => {
    const hypervisor = await prepared();
    const spec = newSpec({ size: { cpu: 1, ramMb: 64, diskGb: 7 } });
    await hypervisor.create(spec);
    const overlay = await readFile(guestPaths(guestsDirectory(dataDir), spec.jobId).overlay);
    // The size in a qcow2 header: 8 bytes from byte 24 on.
    assert.equal(overlay.readBigUInt64BE(24), 7n * 1024n ** 3n);
    await hypervisor.remove(spec.jobId);

    const small = newSpec({ size: { cpu: 1, ramMb: 64, diskGb: 0 } });
    await hypervisor.create(small);
    const smallOverlay = await readFile(guestPaths(guestsDirectory(dataDir), small.jobId).overlay);
    const image = await readFile(imagePath);
    assert.equal(smallOverlay.readBigUInt64BE(24), image.readBigUInt64BE(24));
    await hypervisor.remove(small.jobId);
  });

  test("too little free space is reported before anything is created", async () => {
    const hypervisor = await prepared({ reserveBytes: Number.MAX_SAFE_INTEGER });
    const spec = newSpec();
    await assert.rejects(hypervisor.create(spec), { code: "disk_full", message: /are free in/ });
    assert.equal(await hypervisor.power(spec.jobId), "absent");
  });

  test("the error for a missing image, or one of another format, has its path", async () => {
    const hypervisor = await prepared();
    const missing = newSpec({ imagePath: "/nonexistent/image.qcow2" });
    await assert.rejects(hypervisor.create(missing), {
      code: "image_unavailable",
      message: /nonexistent\/image\.qcow2/,
    });
    const wrong = newSpec({ imagePath: import.meta.filename });
    await assert.rejects(hypervisor.create(wrong), { code: "image_unavailable", message: /qcow2/ });
  });

  test("a guest whose disk was removed cannot start, and create restores it", async () => {
    const hypervisor = await prepared();
    const spec = newSpec();
    await hypervisor.create(spec);
    await rm(guestPaths(guestsDirectory(dataDir), spec.jobId).overlay);
    await assert.rejects(hypervisor.start(spec.jobId), {
      code: "hypervisor_failed",
      message: /Cannot access storage file.*No such file/,
    });
    await hypervisor.create(spec);
    await hypervisor.start(spec.jobId);
    assert.equal(await hypervisor.power(spec.jobId), "running");
    await hypervisor.remove(spec.jobId);
  });

  test("an impossible size is reported with libvirt's error, and remove leaves nothing behind", async () => {
    const hypervisor = await prepared();
    const spec = newSpec({ size: { cpu: 1000, ramMb: 64, diskGb: 1 } });
    await assert.rejects(hypervisor.create(spec), { code: "hypervisor_failed", message: /Maximum CPUs/ });
    await hypervisor.remove(spec.jobId);
    assert.equal(await hypervisor.power(spec.jobId), "absent");
  });

  test("QEMU accepts every disk bus and network card of the image map", async () => {
    const hypervisor = await prepared();
    const variants = [
      { diskBus: "sata", nicModel: "e1000" },
      { diskBus: "scsi", nicModel: "e1000e" },
      { diskBus: "ide", nicModel: "rtl8139" },
      // On these buses a seed that is not an ISO is not a CD-ROM.
      { diskBus: "sata", seedFormat: "vfat" },
      { diskBus: "ide", seedFormat: "cpio" },
    ] as const;
    await Promise.all(
      variants.map(async (devices) => {
        const spec = newSpec(devices);
        await hypervisor.create(spec);
        await hypervisor.start(spec.jobId);
        assert.equal(await hypervisor.power(spec.jobId), "running", devices.diskBus);
        await hypervisor.remove(spec.jobId);
      }),
    );
  });

  test("a guest's lease and the host's end of its card are listed; the card is removed with the guest, the lease stays", async () => {
    const hypervisor = await prepared();
    const spec = newSpec();
    await hypervisor.create(spec);
    await hypervisor.start(spec.jobId);
    const own = async () => {
      const { directories, leases, interfaces } = await hypervisor.listInventory();
      const card = directories.find(({ jobId }) => jobId === spec.jobId)?.macAddress;
      const isOwn = ({ macAddress }: { macAddress: string }) => macAddress === card;
      return { card, leases: leases.filter(isOwn), interfaces: interfaces.filter(isOwn) };
    };
    // The guest requests its address while it boots, without a notification to this process.
    let guestInventory = await own();
    while (guestInventory.leases.length === 0) {
      await setTimeout(100);
      guestInventory = await own();
    }
    assert.ok(guestInventory.card?.startsWith(sharedPrefix(ownerId)));
    assert.match(guestInventory.leases[0]?.address ?? "", /^[0-9]+(\.[0-9]+){3}$/);
    assert.ok((guestInventory.leases[0]?.expiresAt ?? 0) > Date.now());
    assert.equal(guestInventory.interfaces.length, 1);
    await hypervisor.remove(spec.jobId);
    const after = await hypervisor.listInventory();
    assert.deepEqual(after.interfaces, []);
    assert.equal(after.leases.filter(({ macAddress }) => macAddress === guestInventory.card).length, 1);
  });

  test("a killed QEMU is reported as a crash, with a notification", async () => {
    const hypervisor = await prepared();
    const spec = newSpec();
    await hypervisor.create(spec);
    await hypervisor.start(spec.jobId);
    const woken = waitForPower(hypervisor, spec.jobId, "crashed");
    const pid = await readFile(`/run/libvirt/qemu/${guestName(spec.jobId)}.pid`, "utf8");
    process.kill(Number(pid), "SIGKILL");
    await woken;
    await hypervisor.remove(spec.jobId);
  });

  test("on a network that cannot isolate ports, the guest starts without isolation, and a warning is logged", async () => {
    const warnings: object[] = [];
    const log = { ...silentLog, warn: (fields: object) => void warnings.push(fields) };
    const name = `tap-${ownerId.slice(0, 8)}`;
    const network = await client.defineNetworkXml(
      `<network><name>${name}</name><forward mode='bridge'><interface dev='virbr0'/></forward></network>`,
    );
    try {
      const hypervisor = await prepared({ network: name, log });
      const spec = newSpec();
      await hypervisor.create(spec);
      // The creation of a macvtap device depends on the kernel; the missing error about isolation does not.
      await hypervisor.start(spec.jobId).catch((error) => assert.doesNotMatch(error.message, /isolat/));
      assert.equal(warnings.length, 1);
      const domain = await client.lookupDomainByName(guestName(spec.jobId));
      assert.doesNotMatch(await client.domainXml(domain), /isolated/);
      await hypervisor.remove(spec.jobId);
    } finally {
      await client.destroyNetwork(network);
      await client.undefineNetwork(network);
    }
  });
});
