import { watch } from "node:fs";

/** Directory of the leases of libvirt's DHCP servers, a file for each bridge. */
const leaseDirectory = "/var/lib/libvirt/dnsmasq";

/** Interval of polling leases when changes of the directory cannot be watched, in ms. */
const pollMs = 1000;

/**
 * Calls `onChange` whenever a lease of `bridge` may have changed: a guest can then use its first address. Does not keep
 * the process alive. Returns the function that ends the watch.
 */
export function watchLeases(bridge: string, onChange: () => void): () => void {
  try {
    const watcher = watch(leaseDirectory, { persistent: false }, (_event, file) => {
      if (file === null || file.startsWith(bridge)) onChange();
    });
    // The directory may be removed with libvirt's package; then there are no guests either.
    watcher.on("error", () => watcher.close());
    return () => watcher.close();
  } catch {
    const timer = setInterval(onChange, pollMs).unref();
    return () => clearInterval(timer);
  }
}
