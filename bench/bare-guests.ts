import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { GuestSize } from "../src/core/job/job.ts";
import { buildSeed } from "../src/guest/seed/seed.ts";
import { buildDomainXml } from "../src/hypervisor/libvirt/guest/domain-xml.ts";
import { createLibvirtClient, type LibvirtClient } from "../src/libvirt/index.ts";
import { virsh } from "../test/support/guests/libvirt.ts";

const run = promisify(execFile);
const uri = "qemu:///system";

/** Guests created with only the necessary calls: the lower bound for the time of provisioning. */
export interface BareGuests {
  /** Creates and removes a guest, by libvirt's RPC or by virsh, and returns the milliseconds until it ran. */
  run(by: "rpc" | "virsh"): Promise<number>;
  [Symbol.dispose](): void;
}

interface Guest {
  readonly name: string;
  readonly directory: string;
  readonly xml: string;
  readonly seed: { readonly metaData: string; readonly userData: string };
}

/** Prepares a connection to libvirt; guests live under `directory`. */
export async function openBareGuests(options: {
  directory: string;
  image: string;
  size: GuestSize;
}): Promise<BareGuests> {
  const client = await createLibvirtClient({ uri });
  let count = 0;
  return {
    async run(by) {
      count += 1;
      const guest = describeGuest(options, `bench${process.pid}n${count}`);
      const began = performance.now();
      await createFiles(guest, options.image);
      try {
        await (by === "rpc" ? startByRpc(client, guest) : startByVirsh(guest));
        return performance.now() - began;
      } finally {
        await virsh("destroy", guest.name);
        await virsh("undefine", guest.name);
        rmSync(guest.directory, { recursive: true, force: true });
      }
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function describeGuest(options: { directory: string; size: GuestSize }, jobId: string): Guest {
  const name = `job-${jobId}`;
  const directory = join(options.directory, name);
  const paths = {
    directory,
    overlay: join(directory, "disk.qcow2"),
    seed: join(directory, "seed.iso"),
    console: join(directory, "console.log"),
  };
  const { seed } = buildSeed({
    jobId,
    attempt: 1,
    hostName: name,
    form: "iso",
    runnerUrl: "http://127.0.0.1:9",
    bootstrapToken: "none",
  });
  const xml = buildDomainXml({
    ...{ jobId, attempt: 1, ownerId: "bench", size: options.size, virtType: "qemu", network: "default" },
    ...{
      diskBus: "virtio",
      seedFormat: "iso",
      nicModel: "virtio",
      firmware: "bios",
      hasShell: false,
      paths,
      macAddress: null,
      tapName: null,
    },
  });
  return { name, directory, xml, seed };
}

async function createFiles({ directory, seed }: Guest, image: string): Promise<void> {
  mkdirSync(directory);
  chmodSync(directory, 0o711);
  const file = (name: string) => join(directory, name);
  writeFileSync(file("meta-data"), seed.metaData);
  writeFileSync(file("user-data"), seed.userData);
  const backing = ["-b", image, "-F", "qcow2"];
  await run("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, file("disk.qcow2"), "1G"]);
  const names = ["-volid", "cidata", "-joliet", "-rock"];
  await run("genisoimage", [
    ...["-quiet", ...names, "-output", file("seed.iso")],
    ...[file("user-data"), file("meta-data")],
  ]);
}

async function startByRpc(client: LibvirtClient, { xml }: Guest): Promise<void> {
  await client.startDomain(await client.defineDomainXml(xml, { validate: true }));
}

async function startByVirsh({ name, directory, xml }: Guest): Promise<void> {
  const path = join(directory, "domain.xml");
  writeFileSync(path, xml);
  await virsh("define", path, "--validate");
  await virsh("start", name);
}
