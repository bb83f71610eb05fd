import type { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { CommandDeath } from "./failure.ts";

/** The environment of a stand-in's command. */
export interface Context {
  /** The stand-in's directory: file systems, volumes, sockets. */
  readonly directory: string;
  readonly database: DatabaseSync;
  /** Aborted when the command is killed. */
  readonly signal: AbortSignal;
  /** Writes a line to stdout. */
  out(line: string): void;
  /** Writes a line to stderr. */
  err(line: string): void;
  /**
   * Called when half of the work is done: throws a {@link CommandDeath} when a test requested a death at this point.
   */
  halfway(): void;
}

/**
 * One command: returns when it has succeeded, throws a `CommandFailure` when it has failed; a number is an exit code.
 */
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
