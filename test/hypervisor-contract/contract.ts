import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { testCreation, testQuietness } from "./contract/basics.ts";
import { testFailures } from "./contract/failures.ts";
import type { ContractOptions } from "./contract/harness.ts";
import { testKills } from "./contract/kills/kills.ts";
import { testLives } from "./contract/lives.ts";
import { testOwnership } from "./contract/ownership.ts";
import { testPersistence, testVanishing } from "./contract/persistence.ts";
import type { Scene } from "./contract/scene.ts";

export type { Behaviour, BrokenHost, ContractHarness, ContractOptions, Foreign } from "./contract/harness.ts";
export { waitForPower } from "./contract/look.ts";
export { randomJobId } from "./contract/scene.ts";

/** Tests the promises of {@link Hypervisor} on one backend. */
export function testHypervisorContract(name: string, options: ContractOptions): void {
  const { inMemory = false, cannotHappen = {} } = options;
  onScene(`hypervisor contract: ${name}`, options, (scene) => {
    testQuietness(scene);
    testCreation(scene);
    testLives(scene, inMemory);
    if (inMemory) testVanishing(scene);
    else testPersistence(scene);
    if (cannotHappen["others have guests here"] === undefined) testOwnership(scene);
    testFailures(scene, options);
    if (cannotHappen["the process is killed"] === undefined) testKills(scene, name);
    reportImpossibleFailures(cannotHappen);
  });
}

function onScene(title: string, options: ContractOptions, testAll: (scene: Scene) => void): void {
  const { setUp, skip = false } = options;
  describe(title, { skip }, () => {
    const scene: Scene = { jobIds: [] } as unknown as Scene;
    before(async () => {
      scene.harness = await setUp();
      scene.hypervisor = scene.harness.open();
      await scene.hypervisor.prepare();
    });
    after(async () => {
      // A backend that cannot remove or close must not keep the harness open: the run would never end.
      try {
        for (const jobId of scene.jobIds) await scene.hypervisor.remove(jobId);
      } finally {
        await scene.hypervisor?.close().finally(() => scene.harness?.close());
      }
    });
    testAll(scene);
  });
}

/** Reports the name of each failure that is not tested, so that it does not count as tested. */
function reportImpossibleFailures(cannotHappen: NonNullable<ContractOptions["cannotHappen"]>): void {
  for (const [circumstance, reason] of Object.entries(cannotHappen)) {
    test(`cannot happen: ${circumstance}: ${reason}`, () => {
      assert.match(reason, /\S+ \S+ \S+/, "give the reason in a sentence");
    });
  }
}
