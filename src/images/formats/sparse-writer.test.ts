import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { temporaryFolder } from "../testing/fixtures.ts";
import { blockBytes, SparseWriter } from "./sparse-writer.ts";

test("any bytes written in any pieces are read back, and blocks of zeros take no space", async (t) => {
  const path = join(temporaryFolder(t), "image");
  const run = fc.record({
    byte: fc.constantFrom(0, 0, 7),
    length: fc.oneof(
      fc.integer({ min: 1, max: 3 * blockBytes }),
      fc.constantFrom(blockBytes, 20 * blockBytes),
    ),
  });
  const property = fc.asyncProperty(fc.array(run, { maxLength: 8 }), async (runs) => {
    const content = Buffer.concat(runs.map(({ byte, length }) => Buffer.alloc(length, byte)));
    await using handle = await open(path, "w");
    const writer = new SparseWriter(handle);
    for (const { byte, length } of runs) await writer.write(Buffer.alloc(length, byte));
    await writer.finish();
    assert.ok(readFileSync(path).equals(content));
    assert.equal(writer.length, content.length);
    await handle.sync();
    assert.ok(statSync(path).blocks * 512 <= nonZeroBlocks(content) * blockBytes);
  });
  await fc.assert(property, { numRuns: 60 });
});

function nonZeroBlocks(content: Buffer): number {
  let count = 0;
  for (let offset = 0; offset < content.length; offset += blockBytes) {
    if (content.subarray(offset, offset + blockBytes).some((byte) => byte !== 0)) count += 1;
  }
  return count;
}
