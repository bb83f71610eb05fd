import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { GuestSpec, Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import type { Behaviour, ContractHarness } from "./harness.ts";

/** The state that the tests of one backend share. Harness and hypervisor are set from the first test on. */
export interface Scene {
  harness: ContractHarness;
  hypervisor: Hypervisor;
  /** All jobs of the tests, which are removed after success and failure. */
  readonly jobIds: string[];
}

/** A job id that no other test run uses. */
export function randomJobId(): string {
  return `t${randomBytes(8).toString("hex")}`;
}

/** The spec of a new job, whose guest is removed at the end. */
export function newSpec(scene: Scene, behaviour: Behaviour): GuestSpec {
  const jobId = randomJobId();
  scene.jobIds.push(jobId);
  return scene.harness.spec({ jobId, attempt: 1, behaviour });
}

/** Fails when any part of the job is left on the host. */
export async function assertNothingLeft({ harness }: Scene, jobId: string, when = ""): Promise<void> {
  assert.deepEqual(await harness.whatIsLeft(jobId), [], when);
}
