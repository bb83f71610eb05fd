import assert from "node:assert/strict";
import type { GuestSpec, Hypervisor } from "../../../../src/hypervisor/hypervisor.ts";
import { find, waitForPower } from "../look.ts";
import { assertNothingLeft, type Scene } from "../scene.ts";
import { nameStep } from "./steps.ts";

/** What becomes of a guest whose process was killed. */
export const recoveries = ["made", "removed"] as const;

/** One of {@link recoveries}: it is made whole, started and removed; or removed as it is. */
export type Recovery = (typeof recoveries)[number];

/**
 * A new backend object lists what a killed one left as ours, makes it whole or not, and removes it; nothing may be left. The guest
 * that is made whole gets power, or, where `whole` is given, it must be that on the host.
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
  // The start of the one that was killed may be under way.
  await waitForPower(successor, jobId, "running");
}

/** What of a job is on the host, in words that are the same for each job. */
export async function leftOf({ harness }: Scene, jobId: string): Promise<readonly string[]> {
  return (await harness.whatIsLeft(jobId)).map(nameStep);
}

/** What is left before and after we look was there while we looked: a command without a master may still be at work. */
async function assertListed({ harness }: Scene, { jobId }: GuestSpec): Promise<void> {
  const looking = harness.open();
  await looking.connect();
  try {
    const before = await harness.whatIsLeft(jobId);
    const power = await looking.power(jobId);
    const found = await find(looking, jobId);
    const after = await harness.whatIsLeft(jobId);
    if (before.length === 0 || after.length === 0) return;
    assert.ok(found, `${before} is left, and not listed as ours`);
    assert.notEqual(power, "absent", `${before} is left`);
  } finally {
    await looking.close();
  }
}
