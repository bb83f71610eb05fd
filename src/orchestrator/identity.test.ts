import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isSolsticeError } from "../core/errors.ts";
import { jobIdOfGuest } from "../core/job/job.ts";
import { newJobId } from "./accept/job-id.ts";
import { bootstrapToken, loadIdentity } from "./identity.ts";

test("an identity persists over restarts, is unique, and its secret is private", (context) => {
  const [one, two] = [1, 2].map(() => {
    const directory = mkdtempSync(join(tmpdir(), "identity-"));
    context.after(() => rmSync(directory, { recursive: true }));
    return directory;
  }) as [string, string];
  const first = loadIdentity(one);
  assert.deepEqual(loadIdentity(one), first);
  assert.notEqual(loadIdentity(two).hostId, first.hostId);
  assert.equal(statSync(join(one, "token-secret")).mode & 0o777, 0o600);

  writeFileSync(join(one, "token-secret"), "");
  assert.throws(
    () => loadIdentity(one),
    (error) => isSolsticeError(error, "config_invalid"),
  );
});

test("the token of an attempt is stable, and differs for another attempt, job or host", () => {
  const identity = { hostId: "h", tokenSecret: Buffer.alloc(32, 1) };
  const token = bootstrapToken(identity, "job1", 1);
  assert.equal(bootstrapToken(identity, "job1", 1), token);
  assert.match(token, /^[0-9a-f]{64}$/);
  const others = [
    bootstrapToken(identity, "job1", 2),
    bootstrapToken(identity, "job2", 1),
    bootstrapToken({ ...identity, tokenSecret: Buffer.alloc(32, 2) }, "job1", 1),
  ];
  assert.equal(new Set([token, ...others]).size, 4);
});

test("a job id can be read back from its guest's name", () => {
  const ids = new Set(Array.from({ length: 1000 }, newJobId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.equal(jobIdOfGuest(`job-${id}`), id);
});
