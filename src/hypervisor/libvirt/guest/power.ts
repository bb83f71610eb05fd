import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import { exists } from "../../../host/files/exists.ts";
import type { Domain, DomainState } from "../../../libvirt/index.ts";
import type { GuestPower } from "../../hypervisor.ts";
import { findDomain, isGone, isWrongState, type LibvirtHost } from "../host.ts";
import { guestPaths } from "./guest-paths.ts";
import { isolationRefused, warnOfOpenPort, withoutIsolation } from "./port-isolation.ts";

/** Maps libvirt's state to a power state. An unknown state counts as powered until libvirt reports that it is not. */
export function powerOf({ state, reason }: DomainState): GuestPower {
  switch (state) {
    case "shutoff":
      return reason === "crashed" || reason === "failed" || reason === "daemon" ? "crashed" : "stopped";
    case "crashed":
      return "crashed";
    case "paused":
      // The guest is being started: seen by a second process after the first was killed during a start.
      return reason === "starting_up" ? "running" : "paused";
    case "pm_suspended":
      return "paused";
    default:
      return "running";
  }
}

/** Returns the guest's power state; `stopped` also when only its directory is left. */
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

/** Powers the guest on. Idempotent. */
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

/** Presses the power button of a powered guest. */
export async function shutdownGuest(host: LibvirtHost, jobId: string): Promise<void> {
  await withPower(host, jobId, (domain) => host.client.shutdownDomain(domain, "acpi"));
}

/** Powers a guest off. Idempotent. */
export async function destroyGuest(host: LibvirtHost, jobId: string): Promise<void> {
  await withPower(host, jobId, (domain) => host.client.destroyDomain(domain));
}

/** Powers off a domain that was observed with power. */
export async function cutPower(host: LibvirtHost, domain: Domain): Promise<void> {
  await unlessEnded(host, domain, () => host.client.destroyDomain(domain));
}

/** Runs `act` on our guest with power; without a guest or power, does nothing. */
async function withPower(
  host: LibvirtHost,
  jobId: string,
  act: (domain: Domain) => Promise<void>,
): Promise<void> {
  const found = await findDomain(host, jobId);
  if (found.kind !== "ours" || !(await hasPower(host, found.domain))) return;
  await unlessEnded(host, found.domain, () => act(found.domain));
}

/** Runs `act`; ignores its failure when the domain ended meanwhile. */
async function unlessEnded(host: LibvirtHost, domain: Domain, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (isGone(error)) return;
    if (isWrongState(error) && !(await hasPower(host, domain))) return;
    throw error;
  }
}

/** True when a domain runs or is paused; false when it no longer exists. */
export async function hasPower(host: LibvirtHost, domain: Domain): Promise<boolean> {
  try {
    const power = powerOf(await host.client.domainState(domain));
    return power === "running" || power === "paused";
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}
