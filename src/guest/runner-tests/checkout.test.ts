import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { type GitServer, startGitServer } from "../../demo/git-server.ts";
import { commitFiles } from "../../demo/repository.ts";

const script = fileURLToPath(new URL("../runner/checkout.sh", import.meta.url));
const missing = "0123456789abcdef0123456789abcdef01234567";
const files = { "hello.txt": "right\n" };

let directory = "";
let server: GitServer;
const commits = { sha1: "", sha256: "" };

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "solstice-checkout-"));
  commits.sha1 = await commitFiles(join(directory, "one.git"), files);
  commits.sha256 = await commitFiles(join(directory, "two.git"), files, "sha256");
  server = await startGitServer(directory);
});
after(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

interface Checkout {
  readonly url: string;
  readonly commit: string;
  readonly env?: Record<string, string>;
}

/** Runs the script as the runner does, and returns the exit code, the last line and the checked-out file. */
async function checkOut({ url, commit, env = {} }: Checkout) {
  const cwd = mkdtempSync(join(directory, "checkout-"));
  const variables = { SOLSTICE_REPO_URL: url, SOLSTICE_COMMIT: commit, SOLSTICE_REF: "", ...env };
  const { all, exitCode } = await execa("sh", [script], { cwd, env: variables, all: true, reject: false });
  const file = await execa("cat", ["hello.txt"], { cwd, reject: false });
  return { exitCode, lastLine: all.trim().split("\n").at(-1), file: file.stdout };
}

for (const [form, name] of [
  ["sha1", "one"],
  ["sha256", "two"],
] as const) {
  test(`a repository of ${form} hashes is checked out`, async () => {
    const { exitCode, file } = await checkOut({ url: `${server.url}/${name}.git`, commit: commits[form] });
    assert.deepEqual([exitCode, file], [0, "right"]);
  });
}

test("a commit of one kind of hash in a repository of the other is rejected at once, with the reason", async () => {
  for (const [name, commit] of [
    ["two", commits.sha1],
    ["one", commits.sha256],
  ] as const) {
    const { exitCode, lastLine } = await checkOut({ url: `${server.url}/${name}.git`, commit });
    assert.equal(exitCode, 128);
    assert.match(lastLine ?? "", /are of different kinds \(SHA-1 and SHA-256\)$/);
  }
});

test("variables of the job's steps do not make git use another repository or kind of hash", async () => {
  const env = {
    GIT_DIR: join(directory, "one.git"),
    GIT_WORK_TREE: "/",
    GIT_INDEX_FILE: "x",
    GIT_DEFAULT_HASH: "sha256",
  };
  const { exitCode, file } = await checkOut({ url: `${server.url}/one.git`, commit: commits.sha1, env });
  assert.deepEqual([exitCode, file], [0, "right"]);
});

test("git@host:path is relative to the login's home directory", async () => {
  const ssh = `f() { for last; do :; done; cd '${directory}' && eval "$last"; }; f`;
  const env = { GIT_SSH_COMMAND: ssh, SOLSTICE_CHECKOUT_KIND: "password", SOLSTICE_CHECKOUT_SECRET: "x" };
  const { exitCode, file } = await checkOut({ url: "git@h.example:one.git", commit: commits.sha1, env });
  assert.deepEqual([exitCode, file], [0, "right"]);
});

/** The report of ssh, or of git through ssh; the script's message; and the number of attempts. */
const reports: readonly [report: string, said: RegExp, attempts: number][] = [
  ["git@h: Permission denied (publickey).", /requires credentials/, 1],
  ["Host key verification failed.", /the host key of git@h\.example:x\.git does not match the known key$/, 1],
  ["ERROR: Repository not found.", /there is no repository at git@h\.example:x\.git$/, 1],
  ["fatal: remote error: access denied or repository not exported: /x", /there is no repository/, 1],
  ["fatal: detected dubious ownership in repository at '/x'", /refuses this job/, 1],
  ["Unable to negotiate with 192.0.2.1 port 22: no matching host key type found.", /refuses this job/, 1],
  ["fatal: write error: No space left on device", /disk has no room/, 1],
  [
    "fatal: unable to access 'https://h/x/': SSL certificate problem: self-signed certificate",
    /certificate/,
    1,
  ],
  ["fatal: unable to access 'https://h/x/': The requested URL returned error: 403", /refuses this job/, 1],
  ["git: 'remote-foo' is not a git command. See 'git --help'.", /git in this image cannot fetch/, 1],
  [
    "fatal: unable to access 'https://h/certificates.git/': The requested URL returned error: 429",
    /after 3/,
    3,
  ],
  ["ssh: connect to host h.example port 22: Connection refused", /after 3 attempts/, 3],
];

describe("a failed fetch", { concurrency: 4 }, () => {
  for (const [report, said, attempts] of reports) {
    test(`tried ${attempts === 1 ? "once" : "three times"}: ${report}`, async () => {
      const record = join(mkdtempSync(join(directory, "asked-")), "record");
      writeFileSync(record, "");
      const ssh = `f() { echo x >>'${record}'; cat >&2 <<'END'\n${report}\nEND\nreturn 255; }; f`;
      const env = { GIT_SSH_COMMAND: ssh, GIT_SSH_VARIANT: "ssh" };
      const { exitCode, lastLine } = await checkOut({ url: "git@h.example:x.git", commit: missing, env });
      assert.equal(exitCode, 128);
      assert.match(lastLine ?? "", said);
      assert.equal(readFileSync(record, "utf8").length / 2, attempts);
    });
  }
});

test("a server behind the host's firewall is tried once, and the log ends with the option that allows it", async () => {
  const gone = await startGitServer(directory);
  await gone.close();
  const SOLSTICE_CHECKOUT_CLOSED = "Guests cannot reach it: set GUEST_LAN_ACCESS=10.0.0.5.";
  const url = `${gone.url}/one.git`;
  const env = { SOLSTICE_CHECKOUT_CLOSED };
  const { exitCode, lastLine } = await checkOut({ url, commit: commits.sha1, env });
  assert.deepEqual([exitCode, lastLine], [128, `solstice: ${SOLSTICE_CHECKOUT_CLOSED}`]);
  // The host may be wrong: an answer of the server takes precedence.
  const answered = await checkOut({ url: `${server.url}/one.git`, commit: missing, env });
  assert.equal(answered.lastLine, `solstice: commit ${missing} does not exist in ${server.url}/one.git`);
  assert.equal((await checkOut({ url: `${server.url}/one.git`, commit: commits.sha1, env })).exitCode, 0);
});
