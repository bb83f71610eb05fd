/** Artifacts and the cache in real guests: the tiny image, whose tools are all busybox's, under software emulation. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { readLog, submit, untilEnd } from "./support/jobs.ts";
import { gatewayAddress, guestImage, noLibvirt } from "./support/libvirt.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  solstice,
  startOrchestrator,
} from "./support/orchestrator.ts";

/** Runs a command that calls the orchestrator, and returns the document it prints. */
async function ask({ apiUrl }: OrchestratorProcess, ...args: string[]) {
  const env = { ...cleanEnvironment(), SOLSTICE_API_URL: apiUrl };
  return JSON.parse((await promisify(execFile)(solstice, [...args, "--json"], { env })).stdout);
}

const cache = [{ key: "tools-1", paths: ["tools"] }];
// Random bytes have zeros among them, which busybox's wget cannot send as they are.
const build = `
[ -e tools/bin ] || { mkdir tools; head -c 300000 /dev/urandom >tools/bin; chmod 751 tools/bin; ln -s bin tools/link; }
mkdir dist; cp tools/bin 'dist/the tool'; : >dist/empty
sha256sum <tools/bin; ls -l tools/link tools/bin
`;

test("in guests: what one job saves another restores, byte for byte, and its artifacts are fetched whole", {
  skip: noLibvirt,
}, async (context) => {
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--stop-timeout", "3s"],
    ...["--runner-listen", `${await gatewayAddress()}:0`],
  ]);
  const orchestrator = await startOrchestrator(setup);
  const run = async () => {
    const request = { script: build, cache, artifacts: [{ paths: ["dist/**"] }] };
    const job = await untilEnd(orchestrator, await submit(orchestrator, request));
    const text = (await readLog(orchestrator, job.id)).toString();
    assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${text}`);
    const uses = job.cache.map(({ action, outcome }) => `${action} ${outcome}`);
    return { job, text, uses, sha256: /[0-9a-f]{64}/.exec(text)?.[0] };
  };

  const first = await run();
  assert.deepEqual(first.uses, ["restore miss", "save saved"]);
  const second = await run();
  assert.equal(second.uses[0], "restore hit");
  assert.equal(second.sha256, first.sha256);
  assert.match(second.text, /-rwxr-x--x .*tools\/bin/);
  assert.match(second.text, /tools\/link -> bin/);

  const target = join(setup.dataDir, "fetched");
  const { artifacts } = await ask(orchestrator, "artifacts", "get", second.job.id, "-o", target);
  assert.deepEqual(artifacts.map(({ name }: { name: string }) => name).sort(), [
    "dist/empty",
    "dist/the tool",
  ]);
  const fetched = readFileSync(join(target, "dist/the tool"));
  assert.equal(createHash("sha256").update(fetched).digest("hex"), first.sha256);

  const { entries } = await ask(orchestrator, "cache", "list");
  assert.deepEqual(
    entries.map((entry: { key: string; uses: number }) => [entry.key, entry.uses]),
    [["tools-1", 1]],
  );
  await ask(orchestrator, "cache", "delete", entries[0].id);
  assert.deepEqual((await ask(orchestrator, "cache", "list")).entries, []);
  assert.deepEqual(readdirSync(join(setup.dataDir, "guests")), []);
});
