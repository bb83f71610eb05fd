/** A secret in a real guest: the tiny image, under software emulation, on the system's libvirt. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readLog, submit, untilEnd, untilLogged } from "./support/jobs.ts";
import { gatewayAddress, guestImage, noLibvirt, virsh } from "./support/libvirt.ts";
import { makeSetup, startOrchestrator } from "./support/orchestrator.ts";

test("a guest gets its secret, and neither its seed nor its domain has it", {
  skip: noLibvirt,
}, async (context) => {
  const token = `tok-${randomBytes(12).toString("hex")}`;
  const operatorDir = mkdtempSync(join(tmpdir(), "solstice-operator-"));
  context.after(() => rmSync(operatorDir, { recursive: true, force: true }));
  const secretsFile = join(operatorDir, "secrets.yaml");
  writeFileSync(secretsFile, `secrets: { TOKEN: { value: ${token}, without_repository: true } }\n`, {
    mode: 0o600,
  });
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--stop-timeout", "3s"],
    ...["--runner-listen", `${await gatewayAddress()}:0`, "--secrets-file", secretsFile],
  ]);
  const orchestrator = await startOrchestrator(setup);
  const script = 'echo "console $TOKEN." >/dev/console; echo "whole $TOKEN."; while :; do sleep 1; done';
  const jobId = await submit(orchestrator, { script, secrets: ["TOKEN"] });
  await untilLogged(orchestrator, jobId, "whole");

  const xml = (await virsh("dumpxml", `job-${jobId}`)).toString();
  assert.match(xml, /<domain/);
  assert.ok(!xml.includes(token), "the domain's XML");
  const files = readdirSync(setup.dataDir, { recursive: true, encoding: "utf8" });
  const seed = files.filter((name) => /seed/.test(name));
  assert.ok(seed.length > 0, files.join(" "));
  // The overlay is the guest's own disk, and the console file is what the guest writes; both go with it.
  for (const name of files.filter((each) => !/overlay|disk\.qcow2|console/.test(each))) {
    const path = join(setup.dataDir, name);
    if (!statSync(path).isFile()) continue;
    assert.ok(!readFileSync(path, "latin1").includes(token), path);
  }
  assert.ok(!orchestrator.log().includes(token), "the daemon's log");

  await orchestrator.api.cancel({ jobId });
  const job = await untilEnd(orchestrator, jobId);
  assert.equal(job.state, "cancelled");
  assert.match((await readLog(orchestrator, jobId)).toString(), /whole \*{28}\./);
  assert.match((await readLog(orchestrator, jobId, { stream: "console" })).toString(), /console \*{28}\./);
});
