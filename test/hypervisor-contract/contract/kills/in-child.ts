import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { GuestSpec } from "../../../../src/hypervisor/hypervisor.ts";
import type { Victim } from "../harness.ts";
import type { KillPoint, Step } from "./steps.ts";
import type { LifeOrder } from "./victim-main.ts";

const MAIN = join(import.meta.dirname, "victim-main.ts");

/** A life that hangs is ended after this time. */
const LIFE_TIMEOUT_MS = 180_000;

/**
 * Runs a guest's life in a process that is killed (SIGKILL) at `point`. Returns the steps of a life that reached its
 * end; null when it was killed.
 */
export async function liveInChild(
  victim: Victim,
  spec: GuestSpec,
  point: KillPoint | null,
): Promise<readonly Step[] | null> {
  const order: LifeOrder = { victim, spec, point };
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", MAIN, JSON.stringify(order)],
    {
      env: { ...process.env, ...victim.environment },
      stdio: ["ignore", "pipe", "inherit"],
      signal: AbortSignal.timeout(LIFE_TIMEOUT_MS),
    },
  );
  const [[exitCode, signal], output] = await Promise.all([once(child, "exit"), text(child.stdout)]);
  if (signal === "SIGKILL") return null;
  assert.equal(exitCode, 0, `the life ended with ${signal ?? exitCode}`);
  return JSON.parse(output) as Step[];
}
