import { destroyGuest, startGuest } from "../guest/power.ts";
import type { LibvirtHost } from "../host.ts";

/** Hosts without firewall whose warning was logged: once for each start of the orchestrator is enough. */
const reported = new WeakSet<LibvirtHost>();

/** Installs or verifies the guest firewall; without a configured firewall, logs a warning with the consequences. */
export async function ensureFirewall(host: LibvirtHost, runnerUrl: string): Promise<void> {
  if (host.firewall !== null) return host.firewall.ensureFirewall(runnerUrl);
  if (reported.has(host)) return;
  reported.add(host);
  host.log.warn(
    { network: host.network },
    "FIREWALL=off: guests can reach every port of this host and its networks, and use each other's addresses",
  );
}

/**
 * Powers a guest on and verifies the firewall at the same time, which needs no extra time. A guest whose firewall is
 * missing and cannot be installed is powered off again. The guest's bridge port can be closed only once it exists,
 * which is long before any program in the guest runs.
 */
export async function startBehindFirewall(host: LibvirtHost, jobId: string): Promise<void> {
  const [started, verified] = await Promise.allSettled([startGuest(host, jobId), host.firewall?.verify()]);
  if (verified.status === "rejected") {
    await destroyGuest(host, jobId);
    throw verified.reason;
  }
  if (started.status === "rejected") throw started.reason;
  await host.firewall?.closePorts();
}
