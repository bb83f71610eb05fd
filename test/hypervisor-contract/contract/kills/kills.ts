import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { sample } from "../../../support/sampling.ts";
import { until } from "../../../support/until.ts";
import type { Victim, VictimModel } from "../harness.ts";
import { assertNothingLeft, newSpec, type Scene } from "../scene.ts";
import { liveInChild } from "./in-child.ts";
import { liveInProcess } from "./in-process.ts";
import { leftOf, type Recovery, recover, recoveries } from "./recover.ts";
import { describePoint, type KillPoint, killPoints, type Step } from "./steps.ts";

/** A kill with the recovery of its guest. */
interface Case {
  readonly point: KillPoint;
  readonly how: Recovery;
}

/** Least share of the processes that must reach their kill point: one or two steps depend on timing. */
const LEAST_KILLED = 0.75;

/**
 * Kills a guest's life between any two of its steps, and in the middle of the steps that have a middle. The backend
 * must list all remains as ours, and complete or remove them. With a model of kills, the test covers every point in
 * the model and kills some real processes to check the model; otherwise it kills real processes only. `npm test`
 * samples them; `npm run test:all` kills all.
 */
export function testKills(scene: Scene, name: string): void {
  test("kill -9 between any two steps of a life, and in the middle of them", async (context) => {
    const { victim } = scene.harness;
    assert.ok(victim, "a backend whose guests outlive its process needs a victim");
    const model = victim.model ?? null;
    await useOnce(scene);
    const { cases: known, left } = model === null ? noCases : await lifeInModel(scene, model);
    context.diagnostic(`${known.length} kills in the model`);
    const whole = model?.part === "creation" ? left : undefined;
    if (model !== null)
      await context.test("in the model, all", () => killAllInModel(scene, { model, whole, cases: known }));
    const all = model?.part === "whole" ? known : casesOf(await lifeOfChild(scene, victim));
    const cases = sample(`kills of ${name}`, all, victim.sampled);
    context.diagnostic(`${cases.length} of ${all.length} kills of real processes`);
    const isKnown = (point: KillPoint) => known.some((one) => isDeepStrictEqual(one.point, point));
    await context.test("real processes", (within) =>
      killForReal(within, scene, {
        victim,
        cases: cases.map((one) => ({ ...one, model: isKnown(one.point) ? model : null })),
      }),
    );
  });
}

function casesOf(steps: readonly Step[]): Case[] {
  return killPoints(steps).flatMap((point) => recoveries.map((how) => ({ point, how })));
}

/** A change that is made once for each host, such as the import of an image, is not a step of each life. */
async function useOnce(scene: Scene): Promise<void> {
  const spec = newSpec(scene, "deaf");
  await scene.hypervisor.create(spec);
  await scene.hypervisor.remove(spec.jobId);
}

const noCases = { cases: [], left: [] };

/** The kills in a life, and the remains of a life that reaches its end. */
async function lifeInModel(
  scene: Scene,
  model: VictimModel,
): Promise<{ cases: readonly Case[]; left: readonly string[] }> {
  const spec = newSpec(scene, "deaf");
  const { steps } = await liveInProcess(model, spec, null);
  const left = await leftOf(scene, spec.jobId);
  await scene.hypervisor.remove(spec.jobId);
  await assertNothingLeft(scene, spec.jobId, "a whole life leaves nothing");
  return { cases: casesOf(steps), left };
}

async function lifeOfChild(scene: Scene, victim: Victim): Promise<readonly Step[]> {
  const spec = newSpec(scene, "deaf");
  const steps = await liveInChild(victim, spec, null);
  assert.ok(steps);
  await assertNothingLeft(scene, spec.jobId, "a whole life leaves nothing");
  return steps;
}

async function killAllInModel(
  scene: Scene,
  {
    model,
    cases,
    whole,
  }: { model: VictimModel; cases: readonly Case[]; whole: readonly string[] | undefined },
): Promise<void> {
  for (const { point, how } of cases) {
    const spec = newSpec(scene, "deaf");
    try {
      assert.ok((await liveInProcess(model, spec, point)).isDead, "the life never reached this point");
      await recover(scene, spec, how, whole);
    } catch (error) {
      throw new Error(`killed ${describePoint(point)}, ${how}`, { cause: error });
    }
  }
}

/** A kill of a real process, with the model's point when it has the same one. */
interface RealCase extends Case {
  readonly model: VictimModel | null;
}

async function killForReal(
  context: TestContext,
  scene: Scene,
  { victim, cases }: { victim: Victim; cases: readonly RealCase[] },
): Promise<void> {
  let killed = 0;
  for (const one of cases) {
    await context.test(`${describePoint(one.point)}: ${one.how}`, async () => {
      if (await killOneForReal(scene, victim, one)) killed += 1;
    });
  }
  assert.ok(killed >= cases.length * LEAST_KILLED, `only ${killed} of ${cases.length} were killed`);
}

/** False when the life ended before its kill point, as is possible when a guest ends by itself. */
async function killOneForReal(scene: Scene, victim: Victim, one: RealCase): Promise<boolean> {
  const { model, point, how } = one;
  // The progress of a program that cannot be waited for depends on timing.
  const isCertain = point.moment === "before" || model?.endedCommands !== undefined;
  const expected = model && isCertain ? await whatTheModelLeaves(scene, model, point) : null;
  const spec = newSpec(scene, "deaf");
  const release = point.moment === "cut" ? model?.haltAt?.(point) : undefined;
  const settled = settledAfter(model, point);
  const wasKilled = (await liveInChild(victim, spec, point)) === null;
  release?.();
  if (!wasKilled) {
    await assertNothingLeft(scene, spec.jobId, "a whole life leaves nothing");
    return false;
  }
  await settled();
  if (expected)
    assert.deepEqual(await leftOf(scene, spec.jobId), expected, "the remains differ from those in the model");
  await recover(scene, spec, how);
  return true;
}

async function whatTheModelLeaves(
  scene: Scene,
  model: VictimModel,
  point: KillPoint,
): Promise<readonly string[]> {
  const spec = newSpec(scene, "deaf");
  const settled = settledAfter(model, point);
  assert.ok((await liveInProcess(model, spec, point)).isDead, "the life never reached this point");
  await settled();
  const left = await leftOf(scene, spec.jobId);
  await recover(scene, spec, "removed");
  return left;
}

/** Waits until the command that outlived its process has ended. */
function settledAfter(model: VictimModel | null, { step, nth, moment }: KillPoint): () => Promise<unknown> {
  const before = model?.endedCommands?.(step) ?? 0;
  return async () => {
    if (moment !== "orphaned" || !model?.endedCommands) return;
    await until(`${step} has ended`, () => (model.endedCommands?.(step) ?? 0) >= before + nth);
  };
}
