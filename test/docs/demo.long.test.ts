/**
 * Test of the README's first command: one whole job in a Debian guest with real cloud-init, from a repository over
 * HTTP.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { domainNames, noLibvirt } from "../support/guests/libvirt.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

function demoDirectories(): string[] {
  return readdirSync("/var/tmp").filter((name) => name.startsWith("solstice-demo-"));
}

test("npm run demo shows a job in a fresh guest, and leaves nothing behind", {
  skip: noLibvirt,
}, async () => {
  const before = demoDirectories();
  const demo = spawn("npm", ["run", "demo"], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [demo.stdout, demo.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const [code] = await once(demo, "close");
  assert.equal(code, 0, output);
  assert.match(output, /Ran 3 tests[\s\S]*OK/, "the repository's own tests ran");
  const jobId = /Job (\w+) succeeded: Every step succeeded/.exec(output)?.[1];
  assert.ok(jobId, output);
  assert.match(output, /provisioning [\d.]+m?s?, booting [\d.]+/, "how long each state took");
  assert.deepEqual(demoDirectories(), before);
  assert.ok(!(await domainNames()).includes(`job-${jobId}`));
});
