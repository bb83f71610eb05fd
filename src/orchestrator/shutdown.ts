import type { HostPhase } from "../core/lifecycle.ts";
import type { Context } from "./context.ts";
import type { Lifecycle } from "./drive/lifecycle-loop.ts";

/** A first signal drains, a second one skips the waiting, a third one is left to the system. */
const phaseOfSignal: readonly HostPhase[] = ["draining", "forced"];

/** Resolves at the first SIGINT or SIGTERM, and follows the phases of {@link phaseOfSignal} from then on. */
export function untilSignalled(context: Context, lifecycle: Lifecycle): Promise<void> {
  return new Promise<void>((resolve) => {
    let count = 0;
    const onSignal = (signal: NodeJS.Signals) => {
      const phase = phaseOfSignal[count++];
      if (phase === undefined) {
        // The default action ends the process at once: the next start cleans up.
        process.removeListener("SIGINT", onSignal).removeListener("SIGTERM", onSignal);
        process.kill(process.pid, signal);
        return;
      }
      enter(context, lifecycle, phase);
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}

/**
 * Takes the host down, once nothing is claimed any more: running jobs may end within `DRAIN_TIMEOUT`, the rest is asked
 * to shut down, then cut off, and goes back to the queue. Resolves when no job of this host is active.
 */
export async function drain(context: Context, lifecycle: Lifecycle): Promise<void> {
  const timer = setTimeout(() => {
    if (context.phase === "draining") enter(context, lifecycle, "drained");
  }, context.config.drainTimeoutSeconds * 1000);
  await lifecycle.idle();
  clearTimeout(timer);
}

function enter(context: Context, lifecycle: Lifecycle, phase: HostPhase): void {
  context.phase = phase;
  const what: Record<HostPhase, string> = {
    serving: "serving",
    draining: `draining: running jobs may end within ${context.config.drainTimeoutSeconds} s; a second signal skips the waiting`,
    drained: "the time to drain is over: stopping the jobs that are left; they go back to the queue",
    forced: "asked twice: cutting off the jobs that are left; they go back to the queue",
  };
  context.log.info({ phase }, what[phase]);
  lifecycle.wakeAll();
}
