import { test } from "node:test";
import { runChaosInTest } from "./chaos/run-in-test.ts";

test("nothing is lost, doubled or leaked in a long storm of every fault", (context) =>
  runChaosInTest(context, { jobs: 1000, calmJobs: 120, durationMs: 30_000, storm: "long" }));
