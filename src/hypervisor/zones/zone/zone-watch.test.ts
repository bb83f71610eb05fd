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

/** Creates a host whose zones a test changes, and a watch whose reports are recorded. */
function openScene() {
  const scene = { zones: [] as ListedZone[], reported: [] as string[], polls: 0, isAway: false };
  let reportedOne = Promise.withResolvers<void>();
  const watch = createZoneWatch({
    async list() {
      scene.polls += 1;
      if (scene.isAway) throw new Error("away");
      return scene.zones;
    },
    onStopped: (jobId) => scene.reported.push(`stopped ${jobId}`),
    pollMs: 1,
  });
  watch.onChange((jobId) => {
    scene.reported.push(jobId);
    reportedOne.resolve();
  });
  const untilReported = async () => {
    await reportedOne.promise;
    reportedOne = Promise.withResolvers();
  };
  return { scene, watch, untilReported };
}

test("a guest that gets power is reported at once, and one that lost power or was removed at the next poll", async () => {
  const { scene, watch, untilReported } = openScene();
  scene.zones = [zone("aaaa", "running"), zone("bbbb", "shutting_down")];
  watch.add("aaaa");
  watch.add("bbbb");
  assert.deepEqual(scene.reported.splice(0), ["aaaa", "bbbb"]);
  await untilReported();
  scene.zones = [zone("aaaa", "running")];
  await untilReported();
  assert.deepEqual(scene.reported.splice(0), ["stopped bbbb", "bbbb"]);
  scene.zones = [zone("aaaa", "installed")];
  await untilReported();
  assert.deepEqual(scene.reported, ["stopped aaaa", "aaaa"]);
  watch.close();
});

test("without a powered guest the host is not polled, and a failed poll is repeated", async () => {
  const { scene, watch, untilReported } = openScene();
  watch.wake();
  assert.equal(scene.polls, 0);
  scene.isAway = true;
  watch.add("aaaa");
  await untilReported();
  while (scene.polls < 3) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(scene.reported, ["aaaa"], "a failed poll does not mean that the guest ended");
  scene.isAway = false;
  await untilReported();
  const { polls } = scene;
  watch.wake();
  assert.equal(scene.polls, polls);
  watch.close();
});
