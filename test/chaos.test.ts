import { test } from "node:test";
import { runChaosInTest } from "./chaos/run-in-test.ts";

test("nothing is lost, doubled or leaked while broker, database and orchestrators are killed", (context) =>
  runChaosInTest(context, { jobs: 200, calmJobs: 60, durationMs: 5000, storm: "short" }));
