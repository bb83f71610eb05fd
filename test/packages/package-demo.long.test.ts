/** Tests the demo of the installed tarball: one whole job in a real guest, with a separate libvirtd and network. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { noCleanRoot, packCheckout, runInCleanRoot } from "../support/clean-root.ts";
import { domainNames, guestImage, noLibvirt } from "../support/guests/libvirt.ts";

const script = fileURLToPath(new URL("scripts/demo.sh", import.meta.url));

test("the demo of the installed tarball shows a job in a real guest, which the host's libvirtd never sees", {
  skip: noCleanRoot || noLibvirt,
}, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-package-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const tarball = await packCheckout(directory);
  // Built here, and found in the cache there: the recipe in the tarball is the same, and so is the name of its image.
  await guestImage("debian");
  const output = await runInCleanRoot({ script, files: [tarball], timeoutMs: 900_000 });

  assert.doesNotMatch(output, /==> building guest image/);
  assert.match(output, /Ran 3 tests[\s\S]*OK/, "the repository's own tests ran");
  const jobId = /Job (\w+) succeeded: Every step succeeded/.exec(output)?.[1];
  assert.ok(jobId, output);
  assert.match(output, /Removed everything/);
  assert.match(output, /^domains left: $/m);
  assert.match(output, /^files left: $/m);
  assert.ok(!(await domainNames()).includes(`job-${jobId}`));
});
