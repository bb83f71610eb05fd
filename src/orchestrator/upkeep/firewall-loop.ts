import { errorText } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";

/** Milliseconds between checks of the guest firewall. */
const checkIntervalMs = 15_000;

/**
 * Starts the loop that maintains the guest firewall: a reload of the host's own firewall may remove our
 * tables. Also runs when libvirt returns, because its network may have changed.
 */
export function startFirewallLoop({ hypervisor, runnerUrl, log }: Context): Loop {
  const loop = startLoop({
    name: "guard",
    log,
    run: async () => {
      await hypervisor.ensureFirewall(runnerUrl);
      return checkIntervalMs;
    },
  });
  const unsubscribe = hypervisor.onChange((jobId) => {
    if (jobId === null) loop.wake();
  });
  return {
    ...loop,
    stop() {
      unsubscribe();
      return loop.stop();
    },
  };
}

/** Removes the guest firewall after the last guest. If that fails, the remaining firewall restricts only guests. */
export async function removeFirewallOfGuests({ hypervisor, log }: Context): Promise<void> {
  try {
    await hypervisor.removeFirewall();
  } catch (error) {
    log.warn(
      { problem: errorText(error) },
      "guest firewall could not be removed, although there are no guests",
    );
  }
}
