import type { DatabaseSync } from "node:sqlite";
import { change, rows } from "./state.ts";

/** An effect that replaces or precedes the work of a command. */
export type FaultEffect =
  /** Does nothing, prints `stderr` and exits. */
  | { readonly kind: "fail"; readonly exitCode: number; readonly stderr: string }
  /** Waits, then works normally. */
  | { readonly kind: "delay"; readonly ms: number }
  /** Never ends by itself (the limit is an hour); after `release()` of the API it continues its work. */
  | { readonly kind: "hang" }
  /** Is killed before its work, after half of it, or after all of it, before it can print a result. */
  | { readonly kind: "die"; readonly when: "before" | "halfway" | "after" };

/** The calls of a command that an effect applies to. */
export interface FaultMatch {
  /** Name of the command, `zfs`. */
  readonly command: string;
  /** Pattern for the arguments, joined with blanks; default: any. */
  readonly arguments?: RegExp;
  /** The first affected call, counted among matching calls from now on; default 1. */
  readonly nth?: number;
  /** Number of affected calls from there; default 1. */
  readonly times?: number;
}

interface FaultRow {
  readonly id: number;
  readonly matching: string;
  readonly nth: number;
  readonly times: number;
  readonly seen: number;
  readonly effect: string;
}

/** Registers an effect; returns the number that removes it. */
export function addFault(database: DatabaseSync, match: FaultMatch, effect: FaultEffect): number {
  const { command, nth = 1, times = 1 } = match;
  const matching = JSON.stringify({
    source: match.arguments?.source ?? "",
    flags: match.arguments?.flags ?? "",
  });
  const statement = database.prepare(
    "INSERT INTO faults (command, matching, nth, times, effect) VALUES (?, ?, ?, ?, ?)",
  );
  return Number(statement.run(command, matching, nth, times, JSON.stringify(effect)).lastInsertRowid);
}

/** Removes one effect, or all of them: commands that hang continue. */
export function removeFaults(database: DatabaseSync, id?: number): void {
  if (id === undefined) change(database, "DELETE FROM faults");
  else change(database, "DELETE FROM faults WHERE id = ?", id);
}

/** Counts this call and returns the effects that apply to it, with their numbers. */
export function takeFaults(
  database: DatabaseSync,
  command: string,
  args: readonly string[],
): { id: number; effect: FaultEffect }[] {
  const text = args.join(" ");
  const hits: { id: number; effect: FaultEffect }[] = [];
  for (const fault of rows<FaultRow>(database, "SELECT * FROM faults WHERE command = ?", command)) {
    const { source, flags } = JSON.parse(fault.matching) as { source: string; flags: string };
    if (!new RegExp(source, flags).test(text)) continue;
    // Counted in one statement, so that two concurrent calls count as two.
    const counted = rows<{ seen: number }>(
      database,
      "UPDATE faults SET seen = seen + 1 WHERE id = ? RETURNING seen",
      fault.id,
    )[0];
    if (counted && counted.seen >= fault.nth && counted.seen < fault.nth + fault.times) {
      hits.push({ id: fault.id, effect: JSON.parse(fault.effect) as FaultEffect });
    }
  }
  return hits;
}

/** True while an effect is registered. */
export function hasFault(database: DatabaseSync, id: number): boolean {
  return rows(database, "SELECT id FROM faults WHERE id = ?", id).length > 0;
}
