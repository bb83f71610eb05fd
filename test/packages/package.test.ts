/** Tests the tarball on a machine that has only Node: installed for all users. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { noCleanRoot, packCheckout, runInCleanRoot } from "../support/clean-root.ts";

const script = fileURLToPath(new URL("scripts/first-job.sh", import.meta.url));
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

test("the tarball installs in a clean root; doctor, the orchestrator and a job work from there", {
  skip: noCleanRoot,
}, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-package-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const tarball = await packCheckout(directory);
  const output = await runInCleanRoot({ script, files: [tarball], timeoutMs: 300_000 });
  const lineOf = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(output)?.[1] ?? "";
  context.diagnostic(`the machine's own Node is ${lineOf("node")}`);

  assert.match(lineOf("command"), /^\/usr\/(local\/)?bin\/solstice$/);
  assert.equal(lineOf("version"), version);
  assert.match(lineOf("images"), /one of: debian tiny/, "the recipes of the images exist");
  assert.match(lineOf("set up"), /^missing: /, "the host can be set up from there");

  const { ok, checks } = JSON.parse(lineOf("doctor").replace(/^0 /, ""));
  assert.equal(ok, true);
  const details = new Map(checks.map((check: Record<string, string>) => [check.name, check.detail]));
  assert.match(String(details.get("Node.js")), /^Node\.js (2[4-9]|[3-9]\d)\./, "it brought its own Node");
  assert.match(String(details.get("configuration")), /node_modules\/solstice-ci\/examples\/.*is valid/);

  assert.match(output, /Ran 3 tests[\s\S]*\nOK\n/, "the steps ran in a checkout of the repository");
  assert.match(output, /^Job \w+ succeeded: Every step succeeded/m);
  assert.equal(lineOf("orchestrator"), "0", "it ends on a stop signal");
});
