import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import type { CommandResult } from "../../../host/command.ts";
import { executeWhenFree, slowSeconds } from "../commands.ts";
import { isAbsent, isWrongState, toHostError } from "../errors.ts";
import { diskDataset, guestPaths, zoneDataset } from "../guest-paths.ts";
import type { ZonesHost } from "../host.ts";
import { deleteVnic } from "../network/links.ts";
import { observeGuest } from "./observe.ts";
import type { ObservedGuest } from "./observed.ts";
import { afterStep, nextTeardownStep, type TeardownStep } from "./teardown.ts";

/** Largest number of observations of one guest during its removal. */
const maxObservations = 120;

/**
 * Number of observations for which a zone may stay in transition. Then it is halted again, which zoneadmd allows in
 * `shutting_down` as well (zoneadmd.c): a killed halt leaves the zone in that state, with its guest running, and does
 * not continue by itself.
 */
const patientObservations = 5;

/** Removes the guest and all its parts, with retries. Foreign things stay. */
export async function removeGuest(host: ZonesHost, jobId: string): Promise<void> {
  stopShutdown(host, jobId);
  await takeSteps(host, jobId, () => true);
}

/** Powers a guest off. Idempotent. */
export async function haltGuest(host: ZonesHost, jobId: string): Promise<void> {
  stopShutdown(host, jobId);
  await takeSteps(host, jobId, (step) => step === "halt" || step === "wait");
}

/** Stops a waiting shutdown, which would block the halt. */
function stopShutdown({ shutdowns }: ZonesHost, jobId: string): void {
  shutdowns.get(jobId)?.abort();
}

/**
 * Takes one step after the other, as the observed guest requires, while `isWanted`. After a successful step the guest's
 * new state is computed; the host is observed before the first step, after the last, and after a step with an
 * unexpected result.
 */
async function takeSteps(
  host: ZonesHost,
  jobId: string,
  isWanted: (step: TeardownStep) => boolean,
): Promise<void> {
  for (let observations = 0; observations < maxObservations; observations += 1) {
    let guest: ObservedGuest | null = await observeGuest(host, jobId);
    let step = nextTeardownStep(guest);
    if (step === null || !isWanted(step)) return;
    if (step === "wait" && observations >= patientObservations) step = "halt";
    while (guest !== null && step !== null && isWanted(step)) {
      guest = (await take(host, jobId, { step, guest })) ? afterStep(guest, step) : null;
      step = guest && nextTeardownStep(guest);
    }
    if (guest === null) await delay(host.observePauseMs);
  }
  throw new SolsticeError(
    "hypervisor_failed",
    `${guestName(jobId)} still exists after ${maxObservations} attempts to remove it.`,
    {
      remedy:
        "See `zoneadm list -cv`: the zone hangs in a state that halt does not end. A restart of the host ends it.",
    },
  );
}

/** Takes one step; false when the guest was not in the observed state, and must be observed again. */
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
  return isDone(command, await executeWhenFree(host, ...command, { deadlineSeconds: slowSeconds }));
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
    // Including snapshots, which a person may have made.
    case "destroy-disk":
      return ["zfs", ["destroy", "-r", diskDataset(settings.pool, jobId)]];
    case "destroy-zone-dataset":
      return ["zfs", ["destroy", "-r", zoneDataset(settings.pool, jobId)]];
    default:
      return null;
  }
}

/** True when the step is done, also when its object no longer exists; a zone in another state must be observed again. */
function isDone([program, args]: Command, result: CommandResult): boolean {
  if (result.exitCode === 0) return true;
  if (isAbsent(result) || isWrongState(result)) return false;
  throw toHostError({ program, args, ...result });
}
