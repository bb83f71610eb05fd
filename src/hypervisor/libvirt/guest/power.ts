import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import { exists } from "../../../host/files/exists.ts";
import type { Domain, DomainState } from "../../../libvirt/index.ts";
import type { GuestPower } from "../../hypervisor.ts";
import { findDomain, isGone, isWrongState, type LibvirtHost } from "../host.ts";
import { guestPaths } from "./guest-paths.ts";
import { isolationRefused, warnOfOpenPort, withoutIsolation } from "./port-isolation.ts";

/** What libvirt's state means to us. A state that we do not know has power until libvirt says that it has none. */
export function powerOf({ state, reason }: DomainState): GuestPower {
  switch (state) {
    case "shutoff":
      return reason === "crashed" || reason === "failed" || reason === "daemon" ? "crashed" : "stopped";
    case "crashed":
      return "crashed";
    case "paused":
      // Of a guest that is being given power: seen by a second process, when the first was killed while it started one.
      return reason === "starting_up" ? "running" : "paused";
    case "pm_suspended":
      return "paused";
    default:
      return "running";
  }
}

/** The guest's power, `stopped` also where only its directory is left. */
export async function readPower(host: LibvirtHost, jobId: string): Promise<GuestPower> {
  const found = await findDomain(host, jobId);
  if (found.kind === "ours") {
    try {
      return powerOf(await host.client.domainState(found.domain));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return (await exists(guestPaths(host.guestsDir, jobId).directory)) ? "stopped" : "absent";
}

/** Gives the guest power, unless it has. */
export async function startGuest(host: LibvirtHost, jobId: string): Promise<void> {
  const found = await findDomain(host, jobId);
  if (found.kind !== "ours") {
    throw new SolsticeError("hypervisor_failed", `There is no guest ${guestName(jobId)} to start.`);
  }
  if (await hasPower(host, found.domain)) return;
  try {
    await host.client.startDomain(found.domain);
  } catch (error) {
    if (!isolationRefused(error)) throw error;
    warnOfOpenPort(host, jobId, error);
    const xml = await host.client.domainXml(found.domain, { inactive: true });
    await host.client.startDomain(await host.client.defineDomainXml(withoutIsolation(xml)));
  }
}

/** Presses the power button of a guest that has power. */
export async function shutdownGuest(host: LibvirtHost, jobId: string): Promise<void> {
  await withPower(host, jobId, (domain) => host.client.shutdownDomain(domain, "acpi"));
}

/** Cuts the power of a guest that has it. */
export async function destroyGuest(host: LibvirtHost, jobId: string): Promise<void> {
  await withPower(host, jobId, (domain) => host.client.destroyDomain(domain));
}

/** Cuts the power of a domain that had it when it was observed. */
export async function cutPower(host: LibvirtHost, domain: Domain): Promise<void> {
  await unlessEnded(host, domain, () => host.client.destroyDomain(domain));
}

/** Runs `act` on a guest of ours with power; a guest without power, or none, stays as it is. */
async function withPower(
  host: LibvirtHost,
  jobId: string,
  act: (domain: Domain) => Promise<void>,
): Promise<void> {
  const found = await findDomain(host, jobId);
  if (found.kind !== "ours" || !(await hasPower(host, found.domain))) return;
  await unlessEnded(host, found.domain, () => act(found.domain));
}

/** Runs `act`; its failure does not count where the domain ended meanwhile. */
async function unlessEnded(host: LibvirtHost, domain: Domain, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (isGone(error)) return;
    if (isWrongState(error) && !(await hasPower(host, domain))) return;
    throw error;
  }
}

/** Whether a domain runs or is paused; one that is gone does not. */
export async function hasPower(host: LibvirtHost, domain: Domain): Promise<boolean> {
  try {
    const power = powerOf(await host.client.domainState(domain));
    return power === "running" || power === "paused";
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}
