/**
 * Test of docs/tasks/back-up-and-restore.md with SQLite: a running installation is backed up, lost, and restored with
 * the page's commands.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noCleanRoot } from "../support/clean-root.ts";
import { codeBlock, runOnPageHost } from "./page-host.ts";
import { jobWithEverything, printJob, withSecrets } from "./recorded-job.ts";

const page = "back-up-and-restore.md";

test("a host with SQLite: jobs, logs, artifacts, secrets and identity are restored; an unfinished job runs again", {
  skip: noCleanRoot,
}, async (context) => {
  const step = await runOnPageHost(context, [
    { name: "start", commands: `${withSecrets}\nsystemctl start solstice-orchestrator` },
    { name: "job", commands: jobWithEverything },
    { name: "before", commands: printJob },
    {
      name: "under way",
      commands: `solstice enqueue --no-repo --script 'until [ -e /root/go ]; do sleep 0.1; done' >under-way
timeout 30 sh -c 'until solstice jobs --state running | grep -q running; do sleep 0.1; done'`,
    },
    { name: "back up", commands: codeBlock(page, "Back up a host with SQLite") },
    { name: "later job", commands: "solstice enqueue --no-repo --script true --wait" },
    {
      name: "loss",
      commands: `systemctl stop solstice-orchestrator
kill -9 $(cat /var/lib/solstice/guests/*/guest.pid) && rm -rf /var/lib/solstice /etc/solstice
install -d -m 0711 /var/lib/solstice
touch go`,
    },
    { name: "restore", commands: codeBlock(page, "Restore a host with SQLite") },
    { name: "after", commands: printJob },
    {
      name: "again",
      commands: `timeout 60 solstice logs --follow "$(sed -n 's/^Job \\([a-z0-9]*\\).*/\\1/p' under-way)"
solstice jobs "$(sed -n 's/^Job \\([a-z0-9]*\\).*/\\1/p' under-way)"`,
    },
    { name: "see", commands: codeBlock(page, "See that it worked") },
    { name: "secret again", commands: jobWithEverything },
  ]);
  assert.match(step("before"), /^length-11$[\s\S]*[0-9a-f]{64} {2}kept/m);
  assert.equal(step("after"), step("before"));
  assert.match(step("later job"), /succeeded/);
  assert.match(step("again"), /^Attempt +2 of 2/m);
  assert.equal([...step("see").matchAll(/^\w{12} /gm)].length, 2, "the job after the backup is gone");
  assert.match(step("secret again"), /length-11/);
});
