import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createMacAddresses, poolAddress, poolSize } from "./mac-addresses.ts";

test("guests get different addresses, keep them, and free them for later guests", async (context) => {
  const guestsDir = mkdtempSync(join(tmpdir(), "mac-"));
  context.after(() => rmSync(guestsDir, { recursive: true }));
  const directories = ["a", "b", "c"].map((name) => join(guestsDir, name));
  for (const directory of directories) mkdirSync(directory);
  const [a = "", b = "", c = ""] = directories;

  const pool = createMacAddresses(guestsDir, "owner");
  const together = await Promise.all([pool.take(a), pool.take(b)]);
  assert.deepEqual(together, [poolAddress("owner", 0), poolAddress("owner", 1)]);
  assert.equal(await createMacAddresses(guestsDir, "owner").take(b), together[1], "also after a restart");

  rmSync(a, { recursive: true });
  assert.equal(await pool.take(c), together[0]);
});

test("an address is locally administered and for a single card, and the pool has a limit", async (context) => {
  assert.match(poolAddress("owner", poolSize - 1), /^52:54(:[0-9a-f]{2}){3}:ff$/);
  assert.notEqual(poolAddress("owner", 0), poolAddress("other", 0));

  const guestsDir = mkdtempSync(join(tmpdir(), "mac-"));
  context.after(() => rmSync(guestsDir, { recursive: true }));
  const pool = createMacAddresses(guestsDir, "owner");
  const taken = [];
  // Each take reads all guests: the first ones already have their address.
  for (let guest = 0; guest <= poolSize; guest += 1) {
    const directory = join(guestsDir, String(guest));
    mkdirSync(directory);
    if (guest < poolSize - 2) writeFileSync(join(directory, "mac-address"), poolAddress("owner", guest));
    else taken.push(await pool.take(directory));
  }
  assert.deepEqual(taken, [poolAddress("owner", poolSize - 2), poolAddress("owner", poolSize - 1), null]);
});
