import type { DatabaseSync } from "node:sqlite";
import { change, rows } from "./state.ts";

/** What a command does instead of, or beside, its work. */
export type FaultEffect =
  /** Does nothing, says `stderr` and exits. */
  | { readonly kind: "fail"; readonly exitCode: number; readonly stderr: string }
  /** Waits, then works as ever. */
  | { readonly kind: "delay"; readonly ms: number }
  /** Never ends by itself (bounded by an hour); `release()` of the API lets it go on with its work. */
  | { readonly kind: "hang" }
  /** Is killed before its work, after half of it, or after all of it, before it could say so. */
  | { readonly kind: "die"; readonly when: "before" | "halfway" | "after" };

/** Which calls of a command an effect is for. */
export interface FaultMatch {
  /** Name of the command, `zfs`. */
  readonly command: string;
  /** What the arguments, joined with blanks, must match; default: any. */
  readonly arguments?: RegExp;
  /** The first call that is hit, counted among those that match from now on; default 1. */
  readonly nth?: number;
  /** How many calls are hit from there; default 1. */
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

/** Orders an effect; the number to withdraw it by. */
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

/** Withdraws one effect, or all of them: commands that hang go on. */
export function removeFaults(database: DatabaseSync, id?: number): void {
  if (id === undefined) change(database, "DELETE FROM faults");
  else change(database, "DELETE FROM faults WHERE id = ?", id);
}

/** Counts this call and returns the effects that hit it, with their numbers. */
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
    // Counted in one statement, so that two calls at once are two.
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

/** Whether an effect is still ordered. */
export function hasFault(database: DatabaseSync, id: number): boolean {
  return rows(database, "SELECT id FROM faults WHERE id = ?", id).length > 0;
}
