import { destroyGuest, startGuest } from "../guest/power.ts";
import type { LibvirtHost } from "../host.ts";

/** The hosts that were told that nothing guards their guests: once for each start of the orchestrator is enough. */
const reported = new WeakSet<LibvirtHost>();

/** Puts the firewall in place, or looks whether it still is; where there is to be none, says what that means. */
export async function ensureFirewall(host: LibvirtHost, runnerUrl: string): Promise<void> {
  if (host.firewall !== null) return host.firewall.ensureFirewall(runnerUrl);
  if (reported.has(host)) return;
  reported.add(host);
  host.log.warn(
    { network: host.network },
    "FIREWALL=off: guests can reach every port of this host and its networks, and take each other's addresses",
  );
}

/**
 * Gives a guest power, and looks at the firewall meanwhile, which takes no time beside a start. A guest whose firewall is not
 * in place and cannot be put there loses its power again. Its port can be closed only when it is there, which is long before
 * anything in the guest runs.
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
