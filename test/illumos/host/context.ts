import type { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { CommandDeath } from "./failure.ts";

/** What a command of the stand-in works with. */
export interface Context {
  /** The stand-in's directory: file systems, volumes, sockets. */
  readonly directory: string;
  readonly database: DatabaseSync;
  /** Aborted when the command is killed. */
  readonly signal: AbortSignal;
  /** A line for stdout. */
  out(line: string): void;
  /** A line for stderr. */
  err(line: string): void;
  /** Called where half of the work is done: throws a {@link CommandDeath} where a test asked for a death at this point. */
  halfway(): void;
}

/** One command: returns when it has succeeded, throws a `CommandFailure` when not; a number is an exit code. */
export type Command = (
  context: Context,
  args: readonly string[],
) => Promise<number | undefined> | number | undefined;

/** Waits; throws a {@link CommandDeath} when the command is killed meanwhile. */
export async function pause({ signal }: Pick<Context, "signal">, ms: number): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {
    throw new CommandDeath();
  });
}
