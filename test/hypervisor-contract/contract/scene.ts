import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { GuestSpec, Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import type { Behaviour, ContractHarness } from "./harness.ts";

/** What the tests of one backend share. Harness and hypervisor are there once the first test runs. */
export interface Scene {
  harness: ContractHarness;
  hypervisor: Hypervisor;
  /** Every job a test made, to be removed whatever happens. */
  readonly jobIds: string[];
}

/** A job id that no other test run uses. */
export function randomJobId(): string {
  return `t${randomBytes(8).toString("hex")}`;
}

/** A new job's spec, whose guest is removed in the end. */
export function newSpec(scene: Scene, behaviour: Behaviour): GuestSpec {
  const jobId = randomJobId();
  scene.jobIds.push(jobId);
  return scene.harness.spec({ jobId, attempt: 1, behaviour });
}

/** Fails when anything of the job is left on the host. */
export async function assertNothingLeft({ harness }: Scene, jobId: string, when = ""): Promise<void> {
  assert.deepEqual(await harness.whatIsLeft(jobId), [], when);
}
