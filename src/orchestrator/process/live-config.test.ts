import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { createLiveConfig } from "./live-config.ts";

test("a reload replaces the reloadable settings in the shared object, and no others", () => {
  const before = { apiToken: "a", imageMapSha256: "1", maxConcurrency: 2 } as OrchestratorConfig;
  const live = createLiveConfig(before);
  const { config } = live;
  live.replace({ ...before, apiToken: null, imageMapSha256: "2", maxConcurrency: 7 });
  assert.deepEqual([config.apiToken, config.imageMapSha256, config.maxConcurrency], [null, "2", 2]);
  assert.equal(live.config, config);
});
