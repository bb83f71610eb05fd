import { setTimeout as delay } from "node:timers/promises";
import type { HostPhase } from "../../core/job/lifecycle.ts";
import type { Context } from "../context.ts";
import type { Lifecycle } from "../drive/lifecycle-loop.ts";
import { boundHandOver } from "./hand-over.ts";

/**
 * The phases of the first and second signal: drain, then skip the waiting. A third signal has its default
 * action.
 */
const phaseOfSignal: readonly HostPhase[] = ["draining", "forced"];

/** Milliseconds between checks of a draining host for a faster phase. */
const phaseLookMs = 250;

/** Maximum time for removing the remaining guests, in addition to `STOP_TIMEOUT`, in ms. */
const longestReleaseMs = 45_000;

/**
 * Resolves with the context at the first SIGINT, SIGTERM or SIGUSR2. From then on SIGINT and SIGTERM follow
 * {@link phaseOfSignal}; SIGUSR2 leaves the guests running, including those that a drain waits for.
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
 * Ends the process at once, with 0, at a SIGUSR2 before {@link untilSignalled}: a starting process has
 * nothing to hand over. A service manager would treat the default action as a failure.
 */
export function endAtEarlyRestart(): void {
  process.on("SIGUSR2", () => process.exit(0));
}

/**
 * Stops the host after the last claim: running jobs may end within `DRAIN_TIMEOUT`; the others are shut down,
 * then destroyed, and requeued. True when no job of this host is active. False when that failed, or could not
 * be checked, in time: the database is unavailable, or the hypervisor does not answer. Also false, at once,
 * when a SIGUSR2 ends the drain: the phase is then `restarting`. `releaseMs` is for tests.
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
    restarting: "restarting (SIGUSR2): guests keep running, and the next start adopts them",
    draining: `draining: running jobs may end within ${context.config.drainTimeoutSeconds} s; a second signal skips the waiting`,
    drained: "drain timed out: stopping the remaining jobs, which return to the queue",
    forced: "second signal: ending the remaining jobs at once; they return to the queue",
  };
  context.log.info({ phase }, what[phase]);
  lifecycle.wakeAll();
}
