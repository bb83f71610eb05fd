import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "./random.ts";

/** Something that can be killed and started again. */
export interface Victim {
  readonly name: string;
  /** `kill -9`; resolves when it is dead. */
  kill(): Promise<void>;
  /** Resolves when it works again. */
  start(): Promise<void>;
}

/** How often and how long things are away. All in ms. */
export interface FaultPace {
  readonly calm: readonly [min: number, max: number];
  readonly away: readonly [min: number, max: number];
}

/** Kills one of `victims` again and again, at moments that the seed chooses, until `signal`; then all of them are up. */
export async function causeFaults(
  victims: readonly Victim[],
  options: { random: Random; pace: FaultPace; signal: AbortSignal; tell: (text: string) => void },
): Promise<number> {
  const { random, pace, signal, tell } = options;
  for (let count = 0; ; count += 1) {
    const victim = random.pick(victims);
    const calm = random.integer(...pace.calm);
    const away = random.integer(...pace.away);
    if (!(await pause(calm, signal))) return count;
    tell(`kill -9 ${victim.name}, away for ${away} ms`);
    await victim.kill();
    await pause(away, signal);
    await victim.start();
    tell(`${victim.name} is back`);
  }
}

/** False when the signal came first. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await delay(ms, undefined, { signal }).catch(() => {});
  return !signal.aborted;
}
