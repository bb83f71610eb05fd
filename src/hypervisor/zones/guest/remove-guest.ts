import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import type { CommandResult } from "../../../host/command.ts";
import { askInTurn, slowSeconds } from "../commands.ts";
import { isAbsent, isWrongState, toHostError } from "../errors.ts";
import { diskDataset, guestPaths, zoneDataset } from "../guest-paths.ts";
import type { ZonesHost } from "../host.ts";
import { deleteVnic } from "../network/links.ts";
import { observeGuest } from "./observe.ts";
import type { ObservedGuest } from "./observed.ts";
import { afterStep, nextTeardownStep, type TeardownStep } from "./teardown.ts";

/** The most looks at one guest while it is removed. */
const maxLooks = 120;

/**
 * So many looks a zone may be on its way. Then it is halted again, which zoneadmd does in `shutting_down` as well (zoneadmd.c): a halt that
 * was killed in the middle leaves the zone there, with its guest running, and nobody goes on with it.
 */
const patientLooks = 5;

/** Removes the guest and everything of it, as often as it takes. What is not ours stays. */
export async function removeGuest(host: ZonesHost, jobId: string): Promise<void> {
  stopShutdown(host, jobId);
  await takeSteps(host, jobId, () => true);
}

/** Cuts the power of a guest that has it. */
export async function haltGuest(host: ZonesHost, jobId: string): Promise<void> {
  stopShutdown(host, jobId);
  await takeSteps(host, jobId, (step) => step === "halt" || step === "wait");
}

/** A shutdown that is waiting would stand in the way. */
function stopShutdown({ shutdowns }: ZonesHost, jobId: string): void {
  shutdowns.get(jobId)?.abort();
}

/**
 * Takes step after step, as the guest is seen, while `isWanted`. After a step that succeeded the next one follows from what it
 * does; a look at the host is taken before the first, after the last, and wherever a step found something else than expected.
 */
async function takeSteps(
  host: ZonesHost,
  jobId: string,
  isWanted: (step: TeardownStep) => boolean,
): Promise<void> {
  for (let looks = 0; looks < maxLooks; looks += 1) {
    let guest: ObservedGuest | null = await observeGuest(host, jobId);
    let step = nextTeardownStep(guest);
    if (step === null || !isWanted(step)) return;
    if (step === "wait" && looks >= patientLooks) step = "halt";
    while (guest !== null && step !== null && isWanted(step)) {
      guest = (await take(host, jobId, { step, guest })) ? afterStep(guest, step) : null;
      step = guest && nextTeardownStep(guest);
    }
    if (guest === null) await delay(host.lookPauseMs);
  }
  throw new SolsticeError("hypervisor_failed", `${guestName(jobId)} is not gone after ${maxLooks} looks.`, {
    remedy:
      "See `zoneadm list -cv`: the zone hangs in a state that halt does not end. A restart of the host ends it.",
  });
}

/** Takes one step; false where the guest was not as it was seen, and must be looked at again. */
async function take(
  host: ZonesHost,
  jobId: string,
  { step, guest }: { step: TeardownStep; guest: ObservedGuest },
): Promise<boolean> {
  if (step === "wait") return false;
  if (step === "delete-vnic" && guest.vnic !== null) {
    await deleteVnic(host, guest.vnic);
    return true;
  }
  if (step === "remove-directory") {
    await host.consoles.stop(jobId);
    await rm(guestPaths(host.guestsDir, jobId).directory, { recursive: true, force: true });
    return true;
  }
  const command = commandOf(host, jobId, step);
  if (command === null) return true;
  return isDone(command, await askInTurn(host, ...command, { deadlineSeconds: slowSeconds }));
}

type Command = readonly [program: string, args: readonly string[]];

function commandOf({ settings }: ZonesHost, jobId: string, step: TeardownStep): Command | null {
  const zone = ["-z", guestName(jobId)];
  switch (step) {
    case "halt":
    case "unmount":
      return ["zoneadm", [...zone, step]];
    case "uninstall":
      return ["zoneadm", [...zone, "uninstall", "-F"]];
    case "delete-zone":
      return ["zonecfg", [...zone, "delete", "-F"]];
    // With snapshots that somebody may have made of it.
    case "destroy-disk":
      return ["zfs", ["destroy", "-r", diskDataset(settings.pool, jobId)]];
    case "destroy-zone-dataset":
      return ["zfs", ["destroy", "-r", zoneDataset(settings.pool, jobId)]];
    default:
      return null;
  }
}

/** What is gone is gone; a zone in another state is looked at again. */
function isDone([program, args]: Command, result: CommandResult): boolean {
  if (result.exitCode === 0) return true;
  if (isAbsent(result) || isWrongState(result)) return false;
  throw toHostError({ program, args, ...result });
}
