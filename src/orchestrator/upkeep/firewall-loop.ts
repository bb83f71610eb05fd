import { errorText } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";

/** How often it is looked at whether the guests' firewall is still in place, in ms. */
const lookIntervalMs = 15_000;

/**
 * Starts the loop that keeps the network closed around the guests: somebody may reload the host's own firewall, and take our
 * tables with it. It looks at once when libvirt is back, because its network may be another then.
 */
export function startFirewallLoop({ hypervisor, runnerUrl, log }: Context): Loop {
  const loop = startLoop({
    name: "guard",
    log,
    run: async () => {
      await hypervisor.ensureFirewall(runnerUrl);
      return lookIntervalMs;
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

/** Takes the guests' firewall away with the last guest. One that stays restricts nobody but guests that there are none of. */
export async function removeFirewallOfGuests({ hypervisor, log }: Context): Promise<void> {
  try {
    await hypervisor.removeFirewall();
  } catch (error) {
    log.warn({ problem: errorText(error) }, "the guests' firewall stays, though there is no guest any more");
  }
}
