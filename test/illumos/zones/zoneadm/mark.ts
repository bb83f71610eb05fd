import type { Context } from "../../host/context.ts";
import { CommandFailure, usageExitCode } from "../../host/failure.ts";
import { exclusively } from "../../host/state.ts";
import { withLock } from "../lock.ts";
import { findZone, type StoredState, stateOf, updateZone } from "../records.ts";
import { zoneadmFailure } from "./failures.ts";

/** zoneadm mark: sets a zone's state by hand; states other than `incomplete` need -F (mark_func of zoneadm.c). */
export async function mark(context: Context, name: string, args: readonly string[]): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  const wanted = args.find((argument) => argument !== "-F");
  const isState = wanted === "configured" || wanted === "incomplete" || wanted === "installed";
  if (!isState || (wanted !== "incomplete" && !args.includes("-F"))) {
    throw new CommandFailure("", usageExitCode);
  }
  const state = stateOf(zone);
  if (!["configured", "incomplete", "installed"].includes(state)) {
    throw zoneadmFailure(name, `mark operation is invalid for ${state} zones.`);
  }
  await withLock(context, { kind: "zoneadm", zone: name }, async () => {
    exclusively(context.database, () => updateZone(context, name, { stored: wanted as StoredState }));
  });
}
