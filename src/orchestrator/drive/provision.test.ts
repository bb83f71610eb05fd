import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { SolsticeError } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import { silentLog } from "../../core/log.ts";
import { parseJobRequest } from "../../core/request/job-request.ts";
import { imageDefinition, imageMapOf } from "../../images/testing/fixtures.ts";
import type { Context } from "../context.ts";
import { loadIdentity } from "../identity.ts";
import { createSecretFiles } from "../secrets/secret-files.ts";
import { provision } from "./provision.ts";
import { release } from "./release.ts";

const away = new SolsticeError("unavailable", "The database failed: Connection terminated unexpectedly.");
const job = {
  id: "job1",
  attempt: 1,
  image: "red",
  request: parseJobRequest({ request_id: randomUUID(), script: "true" }),
} as Job;
const log = silentLog;

test("an unavailable store during provisioning does not end the attempt: it is retried", async (context: TestContext) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-provision-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const host = {
    identity: loadIdentity(directory),
    secrets: createSecretFiles(null, log),
    reach: { whyUnreachable: async () => null },
    config: { imageMap: imageMapOf(imageDefinition({ name: "red", localPath: "/nonexistent" })) },
    images: {
      state() {
        throw away;
      },
    },
    hypervisor: { backend: "libvirt", create: () => Promise.reject(new TypeError("nothing is made here")) },
    log,
  } as unknown as Context;
  await assert.rejects(provision(host, job), away);
});

test("an unavailable store while a console is stored leaves the guest in place", async () => {
  let isRemoved = false;
  const host = {
    hypervisor: {
      remove: async () => {
        isRemoved = true;
      },
    },
    store: {
      db: {
        selectFrom() {
          throw away;
        },
      },
    },
    log,
  } as unknown as Context;
  await assert.rejects(release(host, job), away);
  assert.equal(isRemoved, false);
});
