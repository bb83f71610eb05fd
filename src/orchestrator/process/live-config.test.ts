import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { createLiveConfig } from "./live-config.ts";

test("a reload exchanges what can be exchanged in the one object that everybody has, and nothing else", () => {
  const before = { apiToken: "a", imageMapSha256: "1", maxConcurrency: 2 } as OrchestratorConfig;
  const live = createLiveConfig(before);
  const { config } = live;
  live.replace({ ...before, apiToken: null, imageMapSha256: "2", maxConcurrency: 7 });
  assert.deepEqual([config.apiToken, config.imageMapSha256, config.maxConcurrency], [null, "2", 2]);
  assert.equal(live.config, config);
});
