import { errorText, SolsticeError } from "../../core/errors.ts";
import {
  createLibvirtClient,
  formatVersion,
  isLibvirtError,
  type LibvirtClient,
  LibvirtErrorCode,
} from "../../libvirt/index.ts";
import { type Check, type Finding, fail, ok, warn } from "./check.ts";

/** The address of libvirt, and the guests' network. */
export interface LibvirtTarget {
  readonly uri: string;
  readonly network: string;
}

const callTimeoutSeconds = 30;
const slowDefineSeconds = 2;

/** Checks that libvirt answers, defines guests fast enough, and has the guests' network. */
export function libvirtChecks(target: LibvirtTarget): Check[] {
  const check = (name: string, examine: (client: LibvirtClient) => Promise<Finding>): Check => ({
    name,
    run: () => withClient(target.uri, examine),
  });
  return [
    check("libvirt", checkVersion),
    check("libvirt define", checkDefine),
    check("network", (client) => checkNetwork(client, target.network)),
  ];
}

/** Runs a check with a connection to libvirt, and closes the connection. */
export async function withClient(
  uri: string,
  examine: (client: LibvirtClient) => Promise<Finding>,
): Promise<Finding> {
  using client = await connect(uri);
  return await examine(client);
}

async function connect(uri: string): Promise<LibvirtClient> {
  try {
    return await createLibvirtClient({ uri, callTimeoutSeconds, connectTimeoutSeconds: 10 });
  } catch (cause) {
    throw new SolsticeError(
      "hypervisor_unavailable",
      `libvirt does not answer at ${uri}: ${errorText(cause)}`,
      {
        remedy:
          "apt-get install -y libvirt-daemon-system libvirt-daemon-driver-qemu && systemctl start libvirtd " +
          "(without systemd: virtlogd -d; libvirtd -d)",
        cause,
      },
    );
  }
}

async function checkVersion(client: LibvirtClient): Promise<Finding> {
  const libvirt = formatVersion(await client.libVersion());
  return ok(`libvirt ${libvirt} with QEMU ${formatVersion(await client.hypervisorVersion())}`);
}

/** A domain with a fixed name and id, so that the next run removes what a killed doctor left. */
const probeDomain = `<domain type='qemu'><name>solstice-doctor</name><uuid>6b0f4f0e-5d1c-4c59-9f57-d0c7012d0c70</uuid>
  <memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`;

async function checkDefine(client: LibvirtClient): Promise<Finding> {
  const before = performance.now();
  const domain = await client.defineDomainXml(probeDomain);
  const seconds = (performance.now() - before) / 1000;
  await client.undefineDomain(domain);
  const detail = `Defining a guest takes ${seconds.toFixed(2)} s.`;
  if (seconds < slowDefineSeconds) return ok(detail);
  return warn(
    `${detail} It should be well under ${slowDefineSeconds} s.`,
    "ls -l /dev/kvm   # see the check 'KVM for guests'",
  );
}

async function checkNetwork(client: LibvirtClient, name: string): Promise<Finding> {
  const network = await client.lookupNetwork(name).catch((error: unknown) => {
    if (isLibvirtError(error, LibvirtErrorCode.NO_NETWORK)) return null;
    throw error;
  });
  if (!network) {
    const file = name === "default" ? "/usr/share/libvirt/networks/default.xml" : "FILE";
    return fail(`libvirt has no network '${name}'.`, `virsh net-define ${file}`);
  }
  // Only warnings: the orchestrator starts the network and sets its autostart.
  if (!(await client.networkActive(network)))
    return warn(`'${name}' is not active yet.`, `virsh net-start ${name}`);
  if (!(await client.networkAutostart(network))) {
    return warn(`'${name}' is active, but not started with libvirtd.`, `virsh net-autostart ${name}`);
  }
  return ok(`'${name}' is active and starts with libvirtd.`);
}
