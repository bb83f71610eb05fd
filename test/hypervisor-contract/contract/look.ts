import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { guestName } from "../../../src/core/job/job.ts";
import type { GuestPower, Hypervisor } from "../../../src/hypervisor/hypervisor.ts";

/** Time limit for a guest, under software emulation on a busy host. */
export const GUEST_TIMEOUT_MS = 120_000;

const CONSOLE_LOOK_MS = 50;
const MAX_CONSOLE_BYTES = 1_000_000;

/** The guest of a job as the backend lists it; the attempt is unknown when only files are left. */
export async function find(hypervisor: Hypervisor, jobId: string) {
  const { domains, directories } = await hypervisor.listInventory();
  const domain = domains.find((one) => one.jobId === jobId);
  if (domain) return { name: domain.name, jobId, attempt: domain.attempt, power: domain.power };
  const isLeftOver = directories.some((directory) => directory.jobId === jobId);
  return isLeftOver ? { name: guestName(jobId), jobId, attempt: null, power: "stopped" } : undefined;
}

/** Like {@link waitForOneOf}, for one power state. */
export async function waitForPower(hypervisor: Hypervisor, jobId: string, wanted: GuestPower): Promise<void> {
  await waitForOneOf(hypervisor, jobId, [wanted]);
}

/**
 * Waits for a guest's power state. Checks only after an event (and once at first), so that a lost event fails the
 * test.
 */
export async function waitForOneOf(
  hypervisor: Hypervisor,
  jobId: string,
  wanted: readonly GuestPower[],
): Promise<void> {
  const deadline = AbortSignal.timeout(GUEST_TIMEOUT_MS);
  let woken = Promise.withResolvers<void>();
  const wake = () => woken.resolve();
  deadline.addEventListener("abort", wake);
  const unsubscribe = hypervisor.onChange((changedId) => {
    if (changedId === jobId || changedId === null) wake();
  });
  try {
    while (!wanted.includes(await hypervisor.power(jobId))) {
      await woken.promise;
      assert.ok(!deadline.aborted, `${guestName(jobId)} was not reported to be ${wanted.join(" or ")}`);
      woken = Promise.withResolvers<void>();
    }
  } finally {
    unsubscribe();
  }
}

/** The first megabyte of a guest's console. */
export async function consoleOf(hypervisor: Hypervisor, jobId: string): Promise<string> {
  return (await hypervisor.readConsole(jobId, 0, MAX_CONSOLE_BYTES)).toString();
}

/** A console has no event when it grows, so this function polls until the text is there. */
export async function waitForConsole(hypervisor: Hypervisor, jobId: string, text: string): Promise<void> {
  const deadline = Date.now() + GUEST_TIMEOUT_MS;
  for (;;) {
    const seen = await consoleOf(hypervisor, jobId);
    if (seen.includes(text)) return;
    if (Date.now() > deadline)
      throw new Error(`the console does not contain "${text}": ${seen.slice(-2000)}`);
    await delay(CONSOLE_LOOK_MS);
  }
}
