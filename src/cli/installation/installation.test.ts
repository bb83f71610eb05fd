import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openTestStore, startTestUserServer } from "../../api/testing/fixture.ts";
import { runCli } from "../testing/run-cli.ts";

const hostId = "host-a";

function mapOf(image: string): string {
  return `default_label: ${image}\nimages: { ${image}: { local_path: /nonexistent/${image}.img } }\n`;
}

/** An API of host-a, its data directory with a note, and an image map of another installation. */
async function startInstallation(t: TestContext, noted: string = hostId) {
  const directory = mkdtempSync(join(tmpdir(), "solstice-installation-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const [dataDir, imageMapPath, otherMap] = ["data", "theirs.yaml", "other.yaml"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  writeFileSync(imageMapPath, mapOf("theirs"));
  writeFileSync(otherMap, mapOf("other"));
  const server = await startTestUserServer(t, {
    store: await openTestStore(t),
    hostId,
    describeHost: async ({ images }) => ({
      ...{ hostId, dataDir, imageMapPath, backend: "noop" },
      settings: [
        { flag: "max-concurrency", value: "7" },
        { flag: "database-url", value: "", secret: true },
      ],
      images: images ? [{ name: "theirs", labels: ["theirs"], state: "ready", path: "/theirs.img" }] : [],
    }),
  });
  mkdirSync(dataDir);
  writeFileSync(
    join(dataDir, "orchestrator.json"),
    JSON.stringify({ pid: 1, apiUrl: server.url, hostId: noted }),
  );
  return { dataDir, otherMap, directory, apiUrl: server.url };
}

test("a command for a data directory whose orchestrator does not run calls no other orchestrator", async (t) => {
  const { dataDir, directory, otherMap } = await startInstallation(t, "host-killed");
  const env = { SOLSTICE_DATA_DIR: dataDir, ORCH_CONFIG: otherMap };
  for (const line of ["jobs", "capacity", "cancel 7k3m9x", "logs -f 7k3m9x", "cache delete --all"]) {
    const { code, stdout, stderr } = await runCli(line.split(" "), { env });
    assert.deepEqual([code, stdout], [69, ""], line);
    assert.match(stderr, /for host host-killed, but host host-a listens.*--api-url/s, line);
  }
  const images = await runCli(["images"], { env });
  assert.equal(images.code, 0);
  assert.match(images.stdout, /^other .*\n\nNo orchestrator is running: .*other\.yaml.*host-killed/ms);
  const nowhere = await runCli(["jobs"], { env: { SOLSTICE_DATA_DIR: join(directory, "nowhere") } });
  assert.equal(nowhere.code, 69);
  assert.match(nowhere.stderr, /No orchestrator runs with .*nowhere \(SOLSTICE_DATA_DIR\).*Start it/s);
});

test("images and capacity report the settings of the running orchestrator, and the differences here", async (t) => {
  const { dataDir, otherMap, apiUrl } = await startInstallation(t);
  const env = { SOLSTICE_DATA_DIR: dataDir, ORCH_CONFIG: otherMap, HYPERVISOR: "libvirt" };
  const { code, stdout, stderr } = await runCli(["images", "--json"], { env });
  assert.equal(code, 0, stderr);
  const document = JSON.parse(stdout);
  assert.deepEqual([document.images[0].name, document.orchestrator.host_id], ["theirs", hostId]);
  assert.match(stderr, /ORCH_CONFIG is .*other\.yaml here; in the running orchestrator .*theirs\.yaml/);
  assert.match(stderr, /HYPERVISOR is libvirt here; in the running orchestrator --hypervisor is noop/);
  const capacity = await runCli(["capacity"], { env });
  assert.match(capacity.stdout, new RegExp(`host host-a at ${apiUrl}.*${dataDir}.*theirs\\.yaml`));
});

test("doctor examines the settings of the running orchestrator, and warns about differences", async (t) => {
  const { dataDir, otherMap } = await startInstallation(t);
  const env = { SOLSTICE_DATA_DIR: dataDir, ORCH_CONFIG: otherMap, MAX_CONCURRENCY: "2" };
  const { stdout } = await runCli(["doctor", "--json", "--max-holds", "1"], { env });
  const { checks, orchestrator } = JSON.parse(stdout) as {
    checks: { name: string; status: string; detail: string }[];
    orchestrator: { host_id: string };
  };
  assert.equal(orchestrator.host_id, hostId);
  const [configuration, ...rest] = checks;
  assert.match(configuration?.detail ?? "", /theirs\.yaml is valid/);
  const settings = rest.filter(({ name }) => name === "settings");
  assert.deepEqual(new Set(settings.map(({ status }) => status)), new Set(["warn"]));
  const text = settings.map(({ detail }) => detail).join("\n");
  for (const part of [
    /ORCH_CONFIG is .*other\.yaml here/,
    /MAX_CONCURRENCY is 2 here; in the running orchestrator --max-concurrency is 7\./,
    /--max-holds is 1 here; in the running orchestrator --max-holds is not set\./,
    /--database-url, whose value is secret/,
    /theirs\.yaml was changed after the orchestrator read it/,
  ]) {
    assert.match(text, part);
  }
  // The orchestrator's backend, noop, is used although it is not set here: another backend would have more checks.
  assert.deepEqual(
    rest.filter(({ name }) => name === "KVM" || name.startsWith("image ")),
    [],
  );
});

test("an API and a data directory that belong to two installations: a warning names the one that is used", async (t) => {
  const one = await startInstallation(t);
  const other = await startInstallation(t, "host-b");
  const named = { SOLSTICE_API_URL: one.apiUrl, SOLSTICE_DATA_DIR: other.dataDir };
  const { code, stderr } = await runCli(["jobs"], { env: named });
  assert.equal(code, 0);
  assert.match(stderr, /SOLSTICE_API_URL \(.*\) is used: .*host-a.*SOLSTICE_DATA_DIR names another/);
  const agreed = await runCli(["jobs"], { env: { ...named, SOLSTICE_DATA_DIR: one.dataDir } });
  assert.equal(agreed.stderr, "");
});
