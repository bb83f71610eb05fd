import { execFile } from "node:child_process";
import { accessSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The first build of an image downloads packages; later calls find the image in the cache. */
const buildTimeoutMs = 10 * 60_000;

/** The reason why tests with real guests cannot run here, or false. For the `skip` option of a test. */
export const noLibvirt: string | false = (() => {
  try {
    accessSync("/run/libvirt/libvirt-sock");
    return false;
  } catch {
    return "libvirt is not running, and could not be installed (scripts/setup-host.sh says why)";
  }
})();

/** The path of one of our guest images, built when it is not in the cache. */
export async function guestImage(name: "tiny" | "debian"): Promise<string> {
  const script = new URL("../../../images/build.sh", import.meta.url).pathname;
  const { stdout } = await run(script, [name], { timeout: buildTimeoutMs });
  const path = stdout.trimEnd().split("\n").at(-1);
  if (!path) throw new Error(`${script} ${name} named no image`);
  return path;
}

/** The names of all domains of this host. */
export async function domainNames(): Promise<string[]> {
  const { stdout } = await run("virsh", ["-c", "qemu:///system", "list", "--all", "--name"]);
  return stdout.split("\n").filter((name) => name !== "");
}

/** Runs virsh on the system's libvirt. */
export async function virsh(...args: string[]): Promise<string> {
  const { stdout } = await run("virsh", ["-c", "qemu:///system", ...args]);
  return stdout;
}

/** The host's address on the guests' network. */
export async function gatewayAddress(): Promise<string> {
  return /<ip address='([0-9.]+)'/.exec(await virsh("net-dumpxml", "default"))?.[1] ?? "";
}
