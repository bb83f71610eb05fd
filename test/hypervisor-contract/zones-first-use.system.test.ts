/**
 * The kills that the contract cannot cover, since each host makes these steps once: creation of the pool and the
 * network, and the import of an image.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { diskDataset } from "../../src/hypervisor/zones/guest-paths.ts";
import type { VictimModel } from "./contract/harness.ts";
import { liveInProcess } from "./contract/kills/in-process.ts";
import { describePoint, type KillPoint, killPoints, type Life } from "./contract/kills/steps.ts";
import { type ContractHarness, randomJobId } from "./contract.ts";
import { createZonesOnStandIn } from "./zones/hosts.ts";

const pool = "rpool/first";

test("the first use of a host is killed at any step: the next use completes the host, and its guest has the whole image", async () => {
  const { steps } = await useAndKill(null);
  const names = steps.map(({ name }) => name).join("\n");
  for (const part of [
    "zfs create -o solstice:owner",
    "dladm create-etherstub",
    "ipadm create-addr",
    "dd if=",
  ])
    assert.ok(names.includes(part), part);
  for (const point of killPoints(steps)) {
    const life = await useAndKill(point).catch((cause: unknown) => {
      throw new Error(`killed ${describePoint(point)}`, { cause });
    });
    assert.ok(life.isDead, `${describePoint(point)} was never reached`);
  }
});

/** Uses a new host for the first time, killed at `point`, then with a successor. */
async function useAndKill(point: KillPoint | null): Promise<Life> {
  const harness = await createZonesOnStandIn({ guests: "scripted", pool });
  try {
    const { model } = harness.victim ?? {};
    assert.ok(model);
    const spec = harness.spec({ jobId: randomJobId(), attempt: 1, behaviour: "deaf" });
    const life = await liveInProcess({ ...model, part: "first use" }, spec, point);
    await useAgain(harness, model, spec);
    return life;
  } finally {
    await harness.close();
  }
}

async function useAgain(
  harness: ContractHarness,
  { run }: VictimModel,
  spec: ReturnType<ContractHarness["spec"]>,
): Promise<void> {
  const successor = harness.open();
  try {
    await successor.prepare();
    assert.match(await successor.runnerHost(), /^[0-9.]+$/);
    await successor.create(spec);
    const image = await readFile(spec.imagePath);
    const copy = join(spec.imagePath, "../copy");
    const disk = `/dev/zvol/rdsk/${diskDataset(pool, spec.jobId)}`;
    await run("dd", [`if=${disk}`, `of=${copy}`, "bs=1024k", "count=3"]);
    assert.ok((await readFile(copy)).subarray(0, image.length).equals(image), "the image is incomplete");
    await successor.start(spec.jobId);
    await successor.remove(spec.jobId);
    assert.deepEqual(await harness.whatIsLeft(spec.jobId), []);
  } finally {
    await successor.close();
  }
}
