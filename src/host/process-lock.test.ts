import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isSolsticeError } from "../core/errors.ts";
import { acquireProcessLock, readLockHolder, tryAcquireProcessLock } from "./process-lock.ts";

const folder = mkdtempSync(join(tmpdir(), "solstice-lock-"));
after(() => rmSync(folder, { recursive: true }));

const holderProgram = `
import { tryAcquireProcessLock } from ${JSON.stringify(new URL("./process-lock.ts", import.meta.url).href)};
const lock = tryAcquireProcessLock(process.argv[1], "a test");
process.stdout.write(lock ? "held" : "refused");
process.stdin.once("data", () => { lock?.release(); process.exit(0); }).on("end", () => process.exit(0));
`;

async function startHolder(path: string): Promise<{ child: ChildProcess; answer: string }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", holderProgram, path], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [chunk] = await once(child.stdout ?? child, "data");
  return { child, answer: String(chunk) };
}

test("one process at a time holds the lock; the error of the other names the holder and the remedy", async () => {
  const path = join(folder, "made", "on", "demand.lock");
  const { child, answer } = await startHolder(path);
  assert.equal(answer, "held");
  assert.equal(tryAcquireProcessLock(path, "this test"), null);
  assert.throws(
    () => acquireProcessLock(path, "this test"),
    (error) =>
      isSolsticeError(error, "locked") &&
      error.message.includes(`process ${child.pid} (a test)`) &&
      error.remedy?.includes(`kill ${child.pid}`) === true,
  );
  child.stdin?.write("release");
  await once(child, "exit");
  acquireProcessLock(path, "this test").release();
});

test("kill -9 releases the lock, and no recovery is needed", async () => {
  const path = join(folder, "killed.lock");
  const { child } = await startHolder(path);
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.equal(readLockHolder(path), null, "a dead holder is not returned");
  const lock = acquireProcessLock(path, "this test");
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith("killed")),
    ["killed.lock", "killed.lock.holder"],
  );
  lock.release();
});

test("a second attempt in the same process is refused, and the first lock stays held", async () => {
  const path = join(folder, "same.lock");
  const lock = acquireProcessLock(path, "the first");
  assert.equal(tryAcquireProcessLock(path, "the second"), null);
  const other = await startHolder(path);
  assert.equal(other.answer, "refused", "the refused attempt did not release the first");
  other.child.stdin?.end();
  await once(other.child, "exit");
  lock.release();
  lock.release();
  tryAcquireProcessLock(path, "the third")?.release();
});

test("exactly one of many processes that start at once gets the lock", async () => {
  const path = join(folder, "crowd.lock");
  const holders = await Promise.all(Array.from({ length: 4 }, () => startHolder(path)));
  assert.deepEqual(holders.map(({ answer }) => answer).sort(), ["held", "refused", "refused", "refused"]);
  for (const { child } of holders) {
    child.stdin?.end();
    await once(child, "exit");
  }
});

test("a folder that cannot be created is reported as an error", () => {
  const file = join(folder, "a-file");
  writeFileSync(file, "");
  assert.throws(
    () => tryAcquireProcessLock(join(file, "x.lock"), "this test"),
    (error) => isSolsticeError(error, "store_failed") && error.remedy?.includes("ls -ld") === true,
  );
});
