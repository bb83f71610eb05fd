import { watch } from "node:fs";

/** Where libvirt's DHCP servers leave their leases, a file for each bridge. */
const leaseDirectory = "/var/lib/libvirt/dnsmasq";

/** How often leases are looked at where changes of that directory cannot be seen, in ms. */
const pollMs = 1000;

/**
 * Calls `onChange` whenever a lease of `bridge` may have changed: a guest that gets an address for the first time can use it
 * from then on. Never keeps the process alive. Returns what ends it.
 */
export function watchLeases(bridge: string, onChange: () => void): () => void {
  try {
    const watcher = watch(leaseDirectory, { persistent: false }, (_event, file) => {
      if (file === null || file.startsWith(bridge)) onChange();
    });
    // The directory may vanish with libvirt's package; then there are no guests either.
    watcher.on("error", () => watcher.close());
    return () => watcher.close();
  } catch {
    const timer = setInterval(onChange, pollMs).unref();
    return () => clearInterval(timer);
  }
}
