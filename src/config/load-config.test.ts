import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { isSolsticeError } from "../core/errors.ts";
import { defaultDataDir } from "./data-dir.ts";
import { loadClientConfig } from "./load-client-config.ts";
import { loadOrchestratorConfig, shippedImageMapPath } from "./load-orchestrator-config.ts";
import { capacityMap, duration, listenAddress } from "./options/option-parsers.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "solstice-config-"));
});
after(() => rm(directory, { recursive: true }));

test("the defaults equal those of the documentation", async () => {
  const config = await loadOrchestratorConfig({}, { HOME: "/home/x" });
  assert.equal(config.configPath, shippedImageMapPath);
  assert.equal(config.maxConcurrency, 2);
  assert.deepEqual(config.apiListen, { host: "127.0.0.1", port: 7410 });
  assert.equal(config.apiToken, null);
  assert.equal(config.runnerListen, null);
  assert.deepEqual(
    [
      config.bootTimeoutSeconds,
      config.jobTimeoutSeconds,
      config.stopTimeoutSeconds,
      config.drainTimeoutSeconds,
    ],
    [300, 3600, 30, 600],
  );
  assert.equal(config.logLimitBytes, 64 * 1024 ** 2);
  assert.deepEqual(config.noop, { runner: "delay", delayMs: 1000 });
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.noop) && Object.isFrozen(config.apiListen));
});

test("a flag has priority over the environment, and the environment over the default; an empty variable is not set", async () => {
  const env = { MAX_CONCURRENCY: "3", BOOT_TIMEOUT: "10m", HYPERVISOR: "" };
  const config = await loadOrchestratorConfig({ maxConcurrency: "4", dataDir: directory }, env);
  assert.equal(config.maxConcurrency, 4);
  assert.equal(config.bootTimeoutSeconds, 600);
  assert.equal(config.hypervisor, "auto");
  assert.equal(config.imageMap.images.get("debian-12")?.localPath, join(directory, "images/debian-12.qcow2"));
});

test("all problems are reported at once: options, rules between them, and the map", async () => {
  const mapPath = join(directory, "wrong.yaml");
  await writeFile(mapPath, "default_label: a\nimages: {b: {source: x}, c: {}}\n");
  const env = { MAX_CONCURRENCY: "many", API_LISTEN: "0.0.0.0:7410", HYPERVISOR: "vmware" };
  const message = await refusal(
    loadOrchestratorConfig({ config: mapPath, bootTimeout: "5 min", dataDir: "~/x" }, env),
  );
  const lines = message.split("\n");
  assert.equal(lines.length, 7, message);
  assert.match(message, /^MAX_CONCURRENCY: got "many"; needs a whole number from 1 to 1000\.$/m);
  assert.match(message, /^--boot-timeout: got "5 min"; needs a time span/m);
  assert.match(message, /^--data-dir: got "~\/x"; needs a path without ~/m);
  assert.match(message, /^HYPERVISOR: got "vmware"; needs one of auto, libvirt, zones, noop\.$/m);
  assert.match(message, /^--api-listen: other machines can reach 0\.0\.0\.0:7410, but no token is set/m);
  assert.match(message, /wrong\.yaml:1:16: default_label leads to "a"/);
  assert.match(message, /wrong\.yaml:2:26: image "c" has no file/);
});

test("an API that other machines can reach needs a token; loopback does not", async () => {
  const open = { apiListen: "0.0.0.0:1" };
  assert.match(await refusal(loadOrchestratorConfig(open, {})), /no token is set/);
  assert.equal((await loadOrchestratorConfig(open, { API_TOKEN: "s3cret" })).apiToken, "s3cret");
  for (const apiListen of ["127.9.9.9:1", "[::1]:1", "localhost:1"]) {
    assert.equal((await loadOrchestratorConfig({ apiListen }, {})).apiListen.port, 1);
  }
  assert.match(await refusal(loadOrchestratorConfig({ apiListen: "127.example.org:1" }, {})), /no token/);
});

test("a public URL needs a token, also when the API listens on loopback", async () => {
  const behindProxy = { apiPublicUrl: "https://ci.example.org/" };
  assert.match(await refusal(loadOrchestratorConfig(behindProxy, {})), /^--api-public-url: .*API_TOKEN/);
  const config = await loadOrchestratorConfig(behindProxy, { API_TOKEN: "s3cret" });
  assert.equal(config.apiPublicUrl, "https://ci.example.org");
});

test("an invalid token is refused and not printed", async () => {
  const message = await refusal(loadOrchestratorConfig({}, { API_TOKEN: "top secret" }));
  assert.match(message, /^API_TOKEN: got a value that cannot be used/);
  assert.doesNotMatch(message, /top/);
});

test("a cap for an unknown label is refused", async () => {
  const message = await refusal(loadOrchestratorConfig({ capacityMap: "ubuntu-22.40=1,debian-12=1" }, {}));
  assert.match(message, /no label "ubuntu-22\.40" \(did you mean "ubuntu-22\.04"\?\)/);
});

test("the error for an unreadable map names the file", async () => {
  const message = await refusal(loadOrchestratorConfig({ config: join(directory, "absent.yaml") }, {}));
  assert.match(
    message,
    /^--config: cannot read the image map .*absent\.yaml: there is no such file; needs a YAML file\.$/,
  );
});

test("the client finds the API: flag, environment, the orchestrator's note, default", async () => {
  const noted = { SOLSTICE_DATA_DIR: directory };
  await writeFile(join(directory, "orchestrator.json"), '{"pid": 1, "apiUrl": "http://127.0.0.1:5/"}');
  assert.equal((await loadClientConfig({}, noted)).apiUrl, "http://127.0.0.1:5");
  assert.equal(
    (await loadClientConfig({}, { ...noted, SOLSTICE_API_URL: "https://ci.example" })).apiUrl,
    "https://ci.example",
  );
  assert.equal((await loadClientConfig({ apiUrl: "http://h:1/" }, noted)).apiUrl, "http://h:1");
  assert.match(
    await refusal(loadClientConfig({ apiUrl: "ftp://h" }, noted)),
    /^--api-url: got "ftp:\/\/h"; needs a http/,
  );
  await writeFile(join(directory, "orchestrator.json"), '{"pid": 1, "apiU');
  const { apiUrl, dataDirFrom } = await loadClientConfig({}, noted);
  assert.deepEqual(
    [apiUrl, dataDirFrom],
    [null, "SOLSTICE_DATA_DIR"],
    "no default replaces a data directory that was named",
  );
});

test("a data directory from a flag has priority over an API from the environment", async () => {
  await writeFile(
    join(directory, "orchestrator.json"),
    '{"apiUrl": "http://127.0.0.1:5", "hostId": "host-a"}',
  );
  const env = { SOLSTICE_API_URL: "https://ci.example" };
  const byFlag = await loadClientConfig({ dataDir: directory }, env);
  assert.deepEqual([byFlag.apiUrl, byFlag.hostId], ["http://127.0.0.1:5", "host-a"]);
  const byVariable = await loadClientConfig({}, env);
  assert.deepEqual([byVariable.apiUrl, byVariable.hostId], ["https://ci.example", null]);
});

test("the default data directory is the system's for root, else the user's", () => {
  assert.equal(defaultDataDir({ HOME: "/root" }, 0), "/var/lib/solstice");
  assert.equal(defaultDataDir({ HOME: "/home/u" }, 1000), "/home/u/.local/state/solstice");
  assert.equal(defaultDataDir({ HOME: "/home/u", XDG_STATE_HOME: "/s" }, 1000), "/s/solstice");
  assert.equal(
    defaultDataDir({ HOME: "/home/u", XDG_STATE_HOME: "relative" }, 1000),
    "/home/u/.local/state/solstice",
  );
});

test("durations: any sum of units; other texts are refused", () => {
  assert.deepEqual(duration("90"), { value: 90 });
  assert.deepEqual(duration("1h30m5s"), { value: 5405 });
  for (const text of ["", "0", "0s", "8d", "5 m", "1.5h", "m", "-5", "5M", "1e3", "99999999"]) {
    assert.ok("expected" in duration(text), text);
  }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 604_800 }), (seconds) => {
      const text = `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m${seconds % 60}s`;
      assert.deepEqual(duration(text), { value: seconds });
    }),
  );
});

test("capacity maps and addresses", () => {
  assert.deepEqual(capacityMap("a=1, b-2.0=0"), {
    value: new Map([
      ["a", 1],
      ["b-2.0", 0],
    ]),
  });
  for (const text of ["", "a", "a=", "a=x", "a=1,", "a=1,a=2", "a=-1", "a=9999"]) {
    assert.ok("expected" in capacityMap(text), text);
  }
  assert.deepEqual(listenAddress("[::1]:0"), { value: { host: "::1", port: 0 } });
  for (const text of ["7410", ":7410", "host", "host:x", "host:65536", "::1:80", "http://h:1"]) {
    assert.ok("expected" in listenAddress(text), text);
  }
});

async function refusal(loading: Promise<unknown>): Promise<string> {
  try {
    await loading;
  } catch (error) {
    assert.ok(isSolsticeError(error, "config_invalid"), String(error));
    return error.message;
  }
  return assert.fail("the configuration was accepted");
}

test("requests and results cannot share a routing key or a queue", async () => {
  const broker = { AMQP_URL: "amqp://127.0.0.1", AMQP_EXCHANGE: "ci" };
  const problems = { AMQP_ROUTING_KEY: "job.result", AMQP_QUEUE: "ci.results" };
  await assert.rejects(loadOrchestratorConfig({}, { ...broker, ...problems }), {
    code: "config_invalid",
    message: /--amqp-routing-key: job\.result.*\n--amqp-queue: ci\.results/,
  });
  assert.equal((await loadOrchestratorConfig({}, broker)).amqp?.exchange, "ci");
});
