import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { GuestSpec } from "../../../../src/hypervisor/hypervisor.ts";
import { find, waitForPower } from "../look.ts";
import { assertNothingLeft, newSpec, type Scene } from "../scene.ts";
import { killAtStep } from "./kill-at-step.ts";
import type { Death, KillPoint, Moment } from "./steps.ts";

/** No life of a guest has more steps. */
const MAX_STEPS = 250;

/** So many steps in a row that do not come are the end: a guest that ends by itself may save a step or two. */
const LIVES_IN_A_ROW = 3;

const NAME_LENGTH = 90;

/**
 * A process that takes a guest through its life is killed between any two of its steps, and in the middle of those that
 * have one. Whatever it leaves is told as ours, and can be made whole, or removed.
 */
export function testKills(scene: Scene): void {
  test("kill -9 between any two steps of a life, and in the middle of them", async (context) => {
    const { victim } = scene.harness;
    assert.ok(victim, "a backend whose guests outlive its process needs a victim");
    let lived = 0;
    for (let step = 1; step <= MAX_STEPS; step += 1) {
      const death = await dieAndRecover({ context, scene, point: { step, moment: "before" } });
      lived = death === null ? lived + 1 : 0;
      if (lived === LIVES_IN_A_ROW) return;
      for (const moment of momentsIn(step, death, victim.isSlow))
        await dieAndRecover({ context, scene, point: { step, moment } });
    }
    assert.fail(`a life has more than ${MAX_STEPS} steps`);
  });
}

/** The deaths in a step, beside the one before it: with a slow backend one in every second step. */
function momentsIn(step: number, death: Death | null, isSlow = false): readonly Moment[] {
  const moments = death?.moments ?? [];
  if (!isSlow) return moments;
  return step % 2 === 0 ? moments.slice(-1) : [];
}

/** Null when the life ended before that step. */
async function dieAndRecover(options: {
  context: TestContext;
  scene: Scene;
  point: KillPoint;
}): Promise<Death | null> {
  const { context, scene, point } = options;
  // Every second step of slow backends is died in as well: that is recovered from in the other way.
  const isEven = (point.step + (point.moment === "before" ? 0 : 1)) % 2 === 0;
  let death: Death | null = null;
  for (const how of isEven ? (["made", "removed"] as const) : (["removed", "made"] as const)) {
    const spec = newSpec(scene, "obedient");
    death = await killAtStep(scene, spec, point);
    if (death === null) await assertNothingLeft(scene, spec.jobId, "a whole life leaves nothing");
    else await context.test(nameOf(scene, spec, { point, death, how }), () => recover(scene, spec, how));
    if (death === null || point.moment !== "before" || scene.harness.victim?.isSlow) break;
  }
  return death;
}

function nameOf(scene: Scene, { jobId }: GuestSpec, fate: { point: KillPoint; death: Death; how: string }) {
  const { point, death, how } = fate;
  const what = death.what.replaceAll(`${scene.harness.guestsDir}/`, "").replaceAll(jobId, "ID");
  const title = what.length > NAME_LENGTH ? `${what.slice(0, NAME_LENGTH)}…` : what;
  return `${point.moment} step ${point.step}, ${title}: ${how}`;
}

async function recover(scene: Scene, spec: GuestSpec, how: "made" | "removed"): Promise<void> {
  const { jobId } = spec;
  const successor = scene.harness.open();
  await successor.connect();
  try {
    await assertTold(scene, spec);
    await successor.prepare();
    if (how === "made") {
      await successor.create(spec);
      assert.equal((await find(successor, jobId))?.attempt, spec.attempt);
      await successor.start(jobId);
      // A start that nobody waits for any more may be under way.
      await waitForPower(successor, jobId, "running");
    }
    await successor.remove(jobId);
    assert.equal(await successor.power(jobId), "absent");
    assert.equal(await find(successor, jobId), undefined);
    await assertNothingLeft(scene, jobId);
  } finally {
    await successor.close();
  }
}

/** What is left before and after we look was there while we looked: a command without a master may still be at work. */
async function assertTold({ harness }: Scene, { jobId }: GuestSpec): Promise<void> {
  const looking = harness.open();
  await looking.connect();
  try {
    const before = await harness.whatIsLeft(jobId);
    const power = await looking.power(jobId);
    const found = await find(looking, jobId);
    const after = await harness.whatIsLeft(jobId);
    if (before.length === 0 || after.length === 0) return;
    assert.ok(found, `${before} is left, and not told as ours`);
    assert.notEqual(power, "absent", `${before} is left`);
  } finally {
    await looking.close();
  }
}
