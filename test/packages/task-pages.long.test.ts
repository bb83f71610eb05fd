/** Tests the task pages install.md, upgrade.md and uninstall.md with the npm tarball: runs their commands unchanged. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { codeBlock, codeBlocks, runOnPageHost } from "../docs/page-host.ts";
import { noCleanRoot, packCheckout } from "../support/clean-root.ts";

const [, install = "", service = ""] = codeBlocks("install.md", "From the npm tarball");
const [installCommand = "", ...checks] = install.split("\n");

test("the tarball is installed as a service, upgraded during a running job and uninstalled without a trace", {
  skip: noCleanRoot,
}, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-task-pages-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const tarball = await packCheckout(directory);
  const steps = [
    { name: "install", commands: `cd /tmp\n${installCommand}`, online: true },
    // This root has no libvirtd: the script reports what is missing, and doctor runs the checks that need none.
    {
      name: "checks",
      commands: checks
        .join("\n")
        .replace('setup-host.sh"', 'setup-host.sh" --check || true')
        .replace("doctor", "doctor --hypervisor noop"),
    },
    { name: "service", commands: service },
    { name: "unit", commands: "systemd-analyze verify /etc/systemd/system/solstice-orchestrator.service" },
    {
      name: "job",
      commands:
        "solstice enqueue --no-repo --script 'until [ -e /root/go ]; do sleep 0.1; done' | tee /root/job",
    },
    {
      name: "upgrade",
      commands: `export npm_config_prefer_offline=true\ncd /tmp\n${codeBlock("upgrade.md", "With the npm tarball")}cd`,
    },
    { name: "upgraded", commands: codeBlock("upgrade.md", "See that it worked") },
    {
      name: "job goes on",
      commands: `touch /root/go\njob=$(sed -n 's/^Job \\([a-z0-9]*\\).*/\\1/p' /root/job)\ntimeout 60 solstice logs --follow "$job"\nsolstice jobs "$job"`,
    },
    { name: "drain", commands: codeBlock("uninstall.md", "End the jobs first") },
    { name: "uninstall", commands: codeBlock("uninstall.md", "The npm tarball") },
    {
      name: "left",
      commands:
        "hash -r\ncommand -v solstice || true\nfind /etc /usr /var /opt -xdev -iname '*solstice*' 2>/dev/null || true",
    },
  ];
  const step = await runOnPageHost(context, steps, { installs: true, files: [tarball], timeoutMs: 600_000 });
  assert.match(step("checks"), /^missing: [\s\S]*^ok {4}Node\.js: Node\.js 24\./m);
  assert.match(step("service"), /running, 0 waiting/);
  assert.equal(step("unit"), "");
  assert.match(step("upgraded"), /^\d+\.\d+\.\d+$[\s\S]*1 of 2 running/m);
  assert.match(step("job goes on"), /^State +succeeded$[\s\S]*^Attempt +1 of 2/m);
  assert.match(step("drain"), /is empty and starts no more jobs/);
  assert.equal(step("left"), "");
});
