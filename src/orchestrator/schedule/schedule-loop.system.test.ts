import assert from "node:assert/strict";
import { after, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { sharedPostgres } from "../../../test/support/servers/servers.ts";
import { silentLog } from "../../core/log.ts";
import { imageDefinition, imageMapOf } from "../../images/testing/fixtures.ts";
import { listSlots } from "../../store/jobs/capacity.ts";
import { insertJob, listTransitions } from "../../store/jobs/jobs.ts";
import type { Store } from "../../store/store.ts";
import { end, newJob } from "../../store/testing/sample-jobs.ts";
import { createPostgresDatabase, openSeveral } from "../../store/testing/test-database.ts";
import type { Context } from "../context.ts";
import { startScheduleLoop } from "./schedule-loop.ts";

const server = await sharedPostgres();
after(() => server.stop());

const slots = 5;

function startHost(context: TestContext, store: Store, hostId: string): void {
  const host = {
    store,
    identity: { hostId, tokenSecret: Buffer.from("secret") },
    config: {
      maxConcurrency: slots,
      capacityMap: new Map(),
      imageMap: imageMapOf(imageDefinition({ name: "debian", localPath: "/nonexistent" })),
    },
    hypervisor: { backend: "noop" },
    images: { onChange: () => () => {} },
    log: silentLog,
    phase: "serving",
    drainRecord: { since: () => null },
    pausedReason: () => null,
  } as unknown as Context;
  const loop = startScheduleLoop(host);
  context.after(() => loop.stop());
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await delay(10);
}

test("two hosts at one queue both fill each free slot, and claim each job once", async (context) => {
  const hostIds = ["host-a", "host-b"];
  const [one, two] = (await openSeveral(context, () => createPostgresDatabase(server), 2)) as [Store, Store];
  const jobIds = Array.from({ length: 36 }, (_, index) => `job${index + 100}`);
  for (const id of jobIds) await insertJob(one, newJob(id, { fairKey: `repository-${id.at(-1)}` }));
  startHost(context, one, "host-a");
  startHost(context, two, "host-b");

  const active = async () => (await Promise.all(hostIds.map((hostId) => listSlots(one, hostId)))) as Slots[];
  const ended = new Set<string>();
  while (ended.size < jobIds.length) {
    // Neither host is idle while the other holds its jobs, if there are enough jobs for both.
    const left = jobIds.length - ended.size;
    await until(async () => (await active()).flat().length === Math.min(left, 2 * slots));
    const [ofOne = [], ofTwo = []] = await active();
    if (left >= 2 * slots) assert.deepEqual([ofOne.length, ofTwo.length], [slots, slots]);
    for (const { id } of [...ofOne, ...ofTwo].filter((_, index) => index % 3 !== 0 || left < 4)) {
      await end(one, id, "completed");
      ended.add(id);
    }
  }
  for (const id of jobIds) {
    const claims = (await listTransitions(one, id)).filter(({ to }) => to === "provisioning");
    assert.equal(claims.length, 1, `${id} was claimed ${claims.length} times`);
  }
});

type Slots = Awaited<ReturnType<typeof listSlots>>;
