import { setTimeout as delay } from "node:timers/promises";
import type { HostPhase } from "../../core/job/lifecycle.ts";
import type { Context } from "../context.ts";
import type { Lifecycle } from "../drive/lifecycle-loop.ts";
import { boundHandOver } from "./hand-over.ts";

/** A first signal drains, a second one skips the waiting, a third one is left to the system. */
const phaseOfSignal: readonly HostPhase[] = ["draining", "forced"];

/** How often a host that drains looks whether it shall go faster, in ms. */
const phaseLookMs = 250;

/** How long, beside `STOP_TIMEOUT`, the guests that are left may take to be removed, in ms. */
const longestReleaseMs = 45_000;

/**
 * Resolves with the context at the first SIGINT, SIGTERM or SIGUSR2. From then on SIGINT and SIGTERM follow the phases of {@link phaseOfSignal};
 * SIGUSR2 leaves the guests running, also those that a drain still waits for.
 */
export function untilSignalled(context: Context, lifecycle: Lifecycle): Promise<Pick<Context, "phase">> {
  return new Promise((resolve) => {
    let count = 0;
    const onStop = (signal: NodeJS.Signals) => {
      const phase = context.phase === "restarting" ? undefined : phaseOfSignal[count++];
      if (phase === undefined) {
        // The default action ends the process at once: the next start cleans up.
        process.removeListener("SIGINT", onStop).removeListener("SIGTERM", onStop);
        process.kill(process.pid, signal);
        return;
      }
      enter(context, lifecycle, phase);
      resolve(context);
    };
    const onRestart = () => {
      if (context.phase !== "serving" && context.phase !== "draining") return;
      enter(context, lifecycle, "restarting");
      boundHandOver(context.log);
      resolve(context);
    };
    process.on("SIGINT", onStop);
    process.on("SIGTERM", onStop);
    process.removeAllListeners("SIGUSR2").on("SIGUSR2", onRestart);
  });
}

/**
 * Ends the process at once, with 0, at a SIGUSR2 that comes before {@link untilSignalled}: a start that is under way has
 * nothing to hand over. The default action would be a failure in the eyes of a service manager.
 */
export function endAtEarlyRestart(): void {
  process.on("SIGUSR2", () => process.exit(0));
}

/**
 * Takes the host down, once nothing is claimed any more: running jobs may end within `DRAIN_TIMEOUT`, the rest is asked
 * to shut down, then cut off, and goes back to the queue. True once no job of this host is active; false when that could
 * not be brought about, or found out, in time: the database is away, or the hypervisor does not answer. False also, at once, when a
 * SIGUSR2 ends the drain: the phase is `restarting` then.
 * `releaseMs` is for tests.
 */
export async function drain(
  context: Pick<Context, "config" | "log" | "phase">,
  lifecycle: Lifecycle,
  releaseMs: number = longestReleaseMs,
): Promise<boolean> {
  const { drainTimeoutSeconds, stopTimeoutSeconds } = context.config;
  const drainedAt = Date.now() + drainTimeoutSeconds * 1000;
  const idle = lifecycle.idle().then(() => true);
  let isIdle = false;
  while (!isIdle && context.phase === "draining") {
    isIdle = await Promise.race([idle, delay(phaseLookMs, false)]);
    if (!isIdle && context.phase === "draining" && Date.now() >= drainedAt)
      enter(context, lifecycle, "drained");
  }
  if (context.phase === "restarting") return false;
  const end = new AbortController();
  const isDown = await Promise.race([
    idle,
    delay(stopTimeoutSeconds * 1000 + releaseMs, false, { signal: end.signal }),
  ]);
  end.abort();
  return isDown;
}

function enter(
  context: Pick<Context, "config" | "log" | "phase">,
  lifecycle: Lifecycle,
  phase: HostPhase,
): void {
  context.phase = phase;
  const what: Record<HostPhase, string> = {
    serving: "serving",
    restarting: "asked to restart (SIGUSR2): the guests run on, and the next start adopts them",
    draining: `draining: running jobs may end within ${context.config.drainTimeoutSeconds} s; a second signal skips the waiting`,
    drained: "the time to drain is over: stopping the jobs that are left; they go back to the queue",
    forced: "asked twice: cutting off the jobs that are left; they go back to the queue",
  };
  context.log.info({ phase }, what[phase]);
  lifecycle.wakeAll();
}
