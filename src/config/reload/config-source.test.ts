import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { isSolsticeError } from "../../core/errors.ts";
import { shippedImageMapPath } from "../load-orchestrator-config.ts";
import { createConfigSource } from "./config-source.ts";

/** A host started by systemd: the variables of the file are also in the environment, because `EnvironmentFile=` names the file. */
function startedHost(t: TestContext, variables: string) {
  const directory = mkdtempSync(join(tmpdir(), "solstice-reload-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const [file, map] = [join(directory, "orchestrator.env"), join(directory, "images.yaml")];
  copyFileSync(shippedImageMapPath, map);
  const write = (text: string) => writeFileSync(file, text);
  write(variables);
  const bySystemd = Object.fromEntries(variables.split("\n").map((line) => line.split("=")));
  const env = { HOME: directory, ENVIRONMENT_FILE: file, ...bySystemd };
  return { source: createConfigSource({ config: map }, env), write, map, file };
}

async function problemsOf(work: Promise<unknown>): Promise<string[]> {
  const error = await work.catch((reason: unknown) => reason);
  assert.ok(isSolsticeError(error, "config_invalid"), String(error));
  return error.message.split("\n");
}

test("a reload applies a token and a map; other changed settings are reported and need a restart", async (t) => {
  const { source, write, map } = startedHost(t, "API_TOKEN=one\nMAX_CONCURRENCY=3\nMAX_HOLDS=5");
  const config = await source.load();
  assert.deepEqual([config.apiToken, config.maxConcurrency], ["one", 3]);
  writeFileSync(map, "default_label: x\nimages: { x: { local_path: /x.img, nocloud: true } }\n");
  write("API_TOKEN='two'\nMAX_CONCURRENCY=7\n");
  const reloaded = await source.reload();
  assert.deepEqual(reloaded.needRestart, ["MAX_CONCURRENCY", "MAX_HOLDS"]);
  assert.deepEqual([reloaded.config.apiToken, reloaded.config.maxConcurrency], ["two", 3]);
  assert.equal(reloaded.config.maxHolds, 5, "a setting removed from the file stays until the restart");
  assert.deepEqual([...reloaded.config.imageMap.images.keys()], ["x"]);
  write("MAX_CONCURRENCY=3\nMAX_HOLDS=5\n");
  const without = await source.reload();
  assert.deepEqual([without.config.apiToken, without.needRestart], [null, []]);
});

test("a token cannot be removed while the API is open to other machines", async (t) => {
  const open = "API_LISTEN=0.0.0.0:7410";
  const { source, write } = startedHost(t, `API_TOKEN=one\n${open}`);
  await source.load();
  write("API_LISTEN=127.0.0.1:7410\n");
  assert.match((await problemsOf(source.reload())).join(), /0\.0\.0\.0:7410.*no token is set/);
  write(`${open}\n`);
  assert.match((await problemsOf(source.reload())).join(), /no token is set/);
});

test("all problems are reported at once: lines of the file, options and the image map", async (t) => {
  const { source, write, map, file } = startedHost(t, "API_TOKEN=one");
  await source.load();
  write("API_TOKEN=s p a c e\nnonsense\nMAX_CONCURRENCY=many\n");
  writeFileSync(map, "images: {}\n");
  const problems = await problemsOf(source.reload());
  assert.equal(problems[0], `${file}:2: no =; needs NAME=value.`);
  for (const expected of [/API_TOKEN/, /MAX_CONCURRENCY: got "many"/, /images\.yaml:1/])
    assert.ok(
      problems.some((problem) => expected.test(problem)),
      `${expected} in ${problems.join("\n")}`,
    );
  assert.doesNotMatch(problems.join(), /s p a c e/);
});

test("the file may be absent only if its name begins with -", async (t) => {
  const { file } = startedHost(t, "");
  const sourceOf = (place: string) => createConfigSource({ environmentFile: place }, { HOME: "/home/x" });
  rmSync(file);
  await sourceOf(`-${file}`).load();
  assert.match((await problemsOf(sourceOf(file).load())).join(), /cannot read .*: there is no such file/);
  writeFileSync(file, "MAX_HOLDS=many\n");
  assert.match((await problemsOf(sourceOf(`-${file}`).load())).join(), /MAX_HOLDS: got "many"/);
});

test("a variable of the file with a name similar to a setting is a warning, at the start and at a reload", async (t) => {
  const { source, write } = startedHost(t, "MAX_CONCURENCY=3\nAWS_ACCESS_KEY_ID=x");
  await source.load();
  const misspelt = ["MAX_CONCURENCY in ENVIRONMENT_FILE is no setting: did you mean MAX_CONCURRENCY?"];
  assert.deepEqual(source.warnings(), misspelt);
  write("MAX_CONCURRENCY=3\nAWS_REGION=x\nHTTPS_PROXY=x\nNPM_TOKEN=x\n");
  assert.deepEqual((await source.reload()).warnings, []);
  write("max_holds=3\n");
  assert.equal((await source.reload()).warnings.length, 1);
});
