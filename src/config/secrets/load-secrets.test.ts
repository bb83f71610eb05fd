import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { inspect } from "node:util";
import { isSolsticeError } from "../../core/errors.ts";
import { loadOrchestratorConfig } from "../load-orchestrator-config.ts";
import { haveSecretsChanged, loadSecrets } from "./load-secrets.ts";

const directory = mkdtempSync(join(tmpdir(), "solstice-secrets-"));
after(() => rmSync(directory, { recursive: true }));

let files = 0;
function file(text: string | Buffer, mode = 0o600): string {
  files += 1;
  const path = join(directory, `file-${files}`);
  writeFileSync(path, text, { mode });
  return path;
}

async function problemsOf(text: string, env = {}): Promise<string[]> {
  const path = file(text);
  try {
    await loadSecrets({ path, env });
  } catch (error) {
    assert.ok(isSolsticeError(error, "config_invalid"));
    return error.message.split("\n").map((line) => line.replace(`${path}:`, ""));
  }
  return [];
}

test("values are read from the file itself, from other files and from the environment", async () => {
  const token = file("from-a-file\n");
  const path = file(`
secrets:
  INLINE: { value: from-here, repositories: [github.com/acme/*], refs: [refs/heads/main, refs/tags/v*] }
  IN_FILE: { file: ${token}, repositories: [github.com/acme/app], refs: any, checkout: { username: x-access-token } }
  IN_ENVIRONMENT: { environment: CI_TOKEN, without_repository: true }
`);
  const { secrets } = await loadSecrets({ path, env: { CI_TOKEN: "from-the-environment" } });
  assert.deepEqual(
    [...secrets.values()].map(({ name, value, policy, checkout }) => [
      name,
      value.reveal(),
      policy,
      checkout,
    ]),
    [
      [
        "INLINE",
        "from-here",
        {
          repositories: ["github.com/acme/*"],
          refs: ["refs/heads/main", "refs/tags/v*"],
          withoutRepository: false,
        },
        null,
      ],
      [
        "IN_FILE",
        "from-a-file",
        { repositories: ["github.com/acme/app"], refs: "any", withoutRepository: false },
        { kind: "password", username: "x-access-token" },
      ],
      [
        "IN_ENVIRONMENT",
        "from-the-environment",
        { repositories: [], refs: [], withoutRepository: true },
        null,
      ],
    ],
  );
});

test("every problem with the shape is reported with its place, and no value is repeated", async () => {
  const problems = await problemsOf(`secrets:
  PATH: { value: hunter2hunter2, without_repository: true }
  TOKEN:
    vallue: hunter2hunter2
    repositories: [GitHub.com/hunter2hunter2]
    refs: [main]
    hunter2hunter2: 1
  NUMBER: { value: 1234567890, without_repository: 7 }
other: hunter2hunter2
`);
  assert.deepEqual(problems, [
    "2:3: this is not a usable name; needs another name: this one is used by shells or by the runner",
    '4:5: unknown key (did you mean "value"?); secrets.TOKEN may have value, file, environment, repositories, refs, without_repository, checkout',
    "5:20: secrets.TOKEN.repositories.0 cannot be used; needs host/owner/name, the host in lower case and without *, such as github.com/acme/app or github.com/acme/*",
    "6:11: secrets.TOKEN.refs cannot be used; needs a list of full refs such as refs/heads/main, or the word any",
    "7:5: unknown key; secrets.TOKEN may have value, file, environment, repositories, refs, without_repository, checkout",
    "8:20: secrets.NUMBER.value cannot be used; needs a text, in quotes if YAML would read another type",
    "8:52: secrets.NUMBER.without_repository cannot be used; needs true or false",
    "9:1: unknown key; the secrets file may have secrets",
  ]);
});

test("contradictions and unusable values are reported all at once", async () => {
  const open = file("hunter2hunter2", 0o640);
  const binary = file(Buffer.from([0xff, 0xfe, 1, 2, 3, 4, 5]));
  const problems = await problemsOf(`secrets:
  NONE: { repositories: [a.org/b/c], refs: any }
  TWO: { value: hunter2hunter2, environment: X, without_repository: true }
  NO_JOB: { value: hunter2hunter2 }
  NO_REFS: { value: hunter2hunter2, repositories: [a.org/b/c] }
  REFS: { value: hunter2hunter2, refs: any, without_repository: true }
  SHORT: { value: "1", without_repository: true }
  OPEN: { file: ${open}, without_repository: true }
  BINARY: { file: ${binary}, without_repository: true }
  UNSET: { environment: NOT_THERE, without_repository: true }
  DIRECTORY: { file: ${directory}, without_repository: true }
`);
  assert.deepEqual(
    problems.map((line) => line.replaceAll(directory, "DIR")),
    [
      "2:3: NONE needs exactly one of value, file and environment",
      "3:3: TWO needs exactly one of value, file and environment",
      "4:3: NO_JOB is for no job; needs repositories (and refs), or without_repository: true",
      "5:3: NO_REFS has no refs; needs a list such as [refs/heads/main], or `refs: any` for every ref",
      "6:3: REFS has refs and no repositories; needs both",
      "7:3: SHORT has a value that cannot be masked; needs at least 6 characters, 3 of them different: a shorter value occurs by chance and would be masked all over a log",
      `8:3: OPEN has no value: ${open.replace(directory, "DIR")} can be read by others; needs: chmod 600 ${open.replace(directory, "DIR")}`,
      "9:3: BINARY has a value that is not UTF-8 text; needs base64 of it, for example",
      "10:3: UNSET has no value: the orchestrator has no environment variable NOT_THERE",
      "11:3: DIRECTORY has no value: DIR is not a file",
    ],
  );
});

test("values that are too many to search logs for are refused", async () => {
  // Texts that become longer in each encoded form, and longer still inside a JSON document.
  const long = `abcdef${"'".repeat(32_000)}`;
  const entry = (at: number) =>
    `  A${at}: { value: "{\\"token\\":\\"${at}${long}\\"}", without_repository: true }\n`;
  const problems = await problemsOf(`secrets:\n${[1, 2, 3, 4].map(entry).join("")}`);
  assert.match(problems.join(), /^1:1: all values together are too much to search logs for/);
  const much = await problemsOf(
    `secrets:\n  A: { value: "${"abc'".repeat(9000)}", without_repository: true }\n`,
  );
  assert.match(much.join(), /needs at most 32768 bytes/);
});

test("the problem of a text that is no YAML does not repeat the text", async () => {
  const problems = await problemsOf("secrets:\n  A: {value: 'hunter2\n  ]hunter2: [*hunter2\n");
  assert.ok(problems.length > 0);
  assert.doesNotMatch(problems.join("\n"), /hunter2/);
});

test("a file that other users can read is refused with the remedy, together with all other problems", async () => {
  const path = file("secrets: {}\n", 0o644);
  await assert.rejects(
    loadOrchestratorConfig({ secretsFile: path, maxConcurrency: "many" }, { HOME: directory }),
    (error) => {
      assert.ok(isSolsticeError(error, "config_invalid"));
      assert.match(error.message, /--max-concurrency: got "many"/);
      assert.match(
        error.message,
        new RegExp(`--secrets-file: ${path} can be read by others; needs: chmod 600 ${path}`),
      );
      return true;
    },
  );
});

test("the configuration does not print its secrets", async () => {
  const path = file("secrets:\n  A: { value: hunter2hunter2, without_repository: true }\n");
  const config = await loadOrchestratorConfig({ secretsFile: path }, { HOME: directory });
  assert.ok(config.secrets?.initial.secrets.has("A"));
  assert.doesNotMatch(inspect(config, { depth: 20 }) + JSON.stringify(config), /hunter2/);
});

test("a change of any of the files is detected", async () => {
  const token = file("from-a-file\n");
  const path = file(`secrets:\n  A: { file: ${token}, without_repository: true }\n`);
  const { versions } = await loadSecrets({ path, env: {} });
  assert.equal(await haveSecretsChanged(versions), false);
  writeFileSync(token, "changed-text");
  assert.equal(await haveSecretsChanged(versions), true);
  const again = await loadSecrets({ path, env: {} });
  assert.equal(await haveSecretsChanged(again.versions), false);
  utimesSync(path, new Date(0), new Date(0));
  assert.equal(await haveSecretsChanged(again.versions), true);
  chmodSync(path, 0o644);
  assert.equal(await haveSecretsChanged(again.versions), true);
});
