import assert from "node:assert/strict";
import { test } from "node:test";
import { openTestStore } from "../../api/testing/fixture.ts";
import { end, hostId, insertClaimed } from "../../store/testing/sample-jobs.ts";
import type { Context } from "../context.ts";
import { reportAdopted } from "./report-adopted.ts";

test("each adopted job has a log line, and guests with another URL are counted", async (context) => {
  const store = await openTestStore(context);
  await insertClaimed(store, "one");
  await insertClaimed(store, "two");
  await insertClaimed(store, "over");
  await end(store, "over", "completed");
  const runnerUrl = "http://127.0.0.1:2";
  const logOf = async (lastRun: { runnerUrl: string } | null) => {
    const [lines, warnings]: [string[], { guests: number }[]] = [[], []];
    const log = {
      info: (_: object, text: string) => lines.push(text),
      warn: (facts: { guests: number }) => warnings.push(facts),
    };
    const identity = { hostId };
    await reportAdopted({ store, identity, log, runnerUrl } as unknown as Context, lastRun);
    assert.deepEqual(lines, ["adopted job one, attempt 1", "adopted job two, attempt 1"]);
    return warnings.map(({ guests }) => guests);
  };
  assert.deepEqual(await logOf({ runnerUrl: "http://127.0.0.1:1" }), [2]);
  assert.deepEqual(await logOf({ runnerUrl }), []);
  assert.deepEqual(await logOf(null), []);
});
