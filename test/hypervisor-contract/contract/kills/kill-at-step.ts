import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { GuestSpec } from "../../../../src/hypervisor/hypervisor.ts";
import type { Scene } from "../scene.ts";
import type { LifeOrder } from "./life.ts";
import type { Death, KillPoint } from "./steps.ts";

const LIFE = join(import.meta.dirname, "life.ts");

/** A life that hangs is ended after this. */
const LIFE_TIMEOUT_MS = 180_000;

/** Has a process live a guest's life, and die at `point`. Null when its life was over before. */
export async function killAtStep(scene: Scene, spec: GuestSpec, point: KillPoint): Promise<Death | null> {
  const { victim } = scene.harness;
  assert.ok(victim);
  const order: LifeOrder = { victim, spec, point };
  const args = ["--disable-warning=ExperimentalWarning", LIFE, JSON.stringify(order)];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...victim.environment },
    stdio: ["ignore", "pipe", "inherit"],
    signal: AbortSignal.timeout(LIFE_TIMEOUT_MS),
  });
  const [[exitCode, signal], said] = await Promise.all([once(child, "exit"), text(child.stdout)]);
  if (signal === "SIGKILL") return JSON.parse(said) as Death;
  assert.equal(exitCode, 0, `the life ended with ${signal ?? exitCode} at ${point.moment} ${point.step}`);
  return null;
}
