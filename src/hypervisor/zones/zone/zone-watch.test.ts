import assert from "node:assert/strict";
import { test } from "node:test";
import type { ListedZone, ZoneState } from "./zone-list.ts";
import { createZoneWatch } from "./zone-watch.ts";

const zone = (jobId: string, state: ZoneState): ListedZone => ({
  name: `job-${jobId}`,
  state,
  path: `/zones/job-${jobId}`,
  brand: "bhyve",
});

/** A host whose zones a test changes, and what was heard. */
function openScene() {
  const scene = { zones: [] as ListedZone[], heard: [] as string[], looks: 0, isAway: false };
  let heardOne = Promise.withResolvers<void>();
  const watch = createZoneWatch({
    async list() {
      scene.looks += 1;
      if (scene.isAway) throw new Error("away");
      return scene.zones;
    },
    onStopped: (jobId) => scene.heard.push(`stopped ${jobId}`),
    pollMs: 1,
  });
  watch.onChange((jobId) => {
    scene.heard.push(jobId);
    heardOne.resolve();
  });
  const untilHeard = async () => {
    await heardOne.promise;
    heardOne = Promise.withResolvers();
  };
  return { scene, watch, untilHeard };
}

test("a guest that gets power is told of at once, and one that lost it, or is gone, at the next look", async () => {
  const { scene, watch, untilHeard } = openScene();
  scene.zones = [zone("aaaa", "running"), zone("bbbb", "shutting_down")];
  watch.add("aaaa");
  watch.add("bbbb");
  assert.deepEqual(scene.heard.splice(0), ["aaaa", "bbbb"]);
  await untilHeard();
  scene.zones = [zone("aaaa", "running")];
  await untilHeard();
  assert.deepEqual(scene.heard.splice(0), ["stopped bbbb", "bbbb"]);
  scene.zones = [zone("aaaa", "installed")];
  await untilHeard();
  assert.deepEqual(scene.heard, ["stopped aaaa", "aaaa"]);
  watch.close();
});

test("while no guest has power nothing is asked, and a host that does not answer is asked again", async () => {
  const { scene, watch, untilHeard } = openScene();
  watch.wake();
  assert.equal(scene.looks, 0);
  scene.isAway = true;
  watch.add("aaaa");
  await untilHeard();
  while (scene.looks < 3) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(scene.heard, ["aaaa"], "not to know is not to be gone");
  scene.isAway = false;
  await untilHeard();
  const { looks } = scene;
  watch.wake();
  assert.equal(scene.looks, looks);
  watch.close();
});
