import assert from "node:assert/strict";
import type { GuestSpec, Hypervisor } from "../../../../src/hypervisor/hypervisor.ts";
import { find, waitForPower } from "../look.ts";
import { assertNothingLeft, type Scene } from "../scene.ts";
import { nameStep } from "./steps.ts";

/** The ways to recover a guest whose process was killed. */
export const recoveries = ["made", "removed"] as const;

/** One of {@link recoveries}: the guest is completed, started and removed; or removed at once. */
export type Recovery = (typeof recoveries)[number];

/**
 * Checks that a new backend object lists the remains of a killed one as ours, completes the guest or not, and removes
 * it without a remainder. A completed guest is started, or, when `whole` is given, must have exactly these parts on
 * the host.
 */
export async function recover(
  scene: Scene,
  spec: GuestSpec,
  how: Recovery,
  whole?: readonly string[],
): Promise<void> {
  const { jobId } = spec;
  const successor = scene.harness.open();
  await successor.connect();
  try {
    await assertListed(scene, spec);
    await successor.prepare();
    if (how === "made") {
      await successor.create(spec);
      assert.equal((await find(successor, jobId))?.attempt, spec.attempt);
      if (whole !== undefined) assert.deepEqual(await leftOf(scene, jobId), whole);
      else await start(successor, jobId);
    }
    await successor.remove(jobId);
    assert.equal(await successor.power(jobId), "absent");
    assert.equal(await find(successor, jobId), undefined);
    await assertNothingLeft(scene, jobId);
  } finally {
    await successor.close();
  }
}

async function start(successor: Hypervisor, jobId: string): Promise<void> {
  await successor.start(jobId);
  // The start by the killed process may still be in progress.
  await waitForPower(successor, jobId, "running");
}

/** The parts of a job on the host, in words that are the same for each job. */
export async function leftOf({ harness }: Scene, jobId: string): Promise<readonly string[]> {
  return (await harness.whatIsLeft(jobId)).map(nameStep);
}

/**
 * Parts that exist before and after the call also existed during the call. Others may change: an orphaned command may
 * still be running.
 */
async function assertListed({ harness }: Scene, { jobId }: GuestSpec): Promise<void> {
  const looking = harness.open();
  await looking.connect();
  try {
    const before = await harness.whatIsLeft(jobId);
    const power = await looking.power(jobId);
    const found = await find(looking, jobId);
    const after = await harness.whatIsLeft(jobId);
    if (before.length === 0 || after.length === 0) return;
    assert.ok(found, `${before} is left, and is not listed as ours`);
    assert.notEqual(power, "absent", `${before} is left`);
  } finally {
    await looking.close();
  }
}
