import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startGitServer } from "../../demo/git-server.ts";
import { commitFiles } from "../../demo/repository.ts";
import { type GuestKind, guestKinds, guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

const multiLine = "-----BEGIN KEY-----\nfirst 'line' \"$HOME\" `id` \\n\n  second\n-----END KEY-----";

// Names equal to the runner's own variables, which must not conflict.
const secrets = [
  { name: "TOKEN", value: "hunter2 with spaces" },
  { name: "KEY", value: multiLine },
  ...["state", "work", "number", "pipe", "script", "own_session", "environment", "step_secrets", "tick"].map(
    (name) => ({ name, value: `the secret called ${name}` }),
  ),
];

/** A guest in which every program records its arguments first. */
function recordingKind(recordPath: string): GuestKind {
  const [plain] = guestKinds as [GuestKind];
  return {
    name: `recording in ${recordPath}`,
    shell: plain.shell,
    fillPath: async (directory) => {
      await plain.fillPath(directory);
      for (const tool of readdirSync(directory).filter((name) => name !== "sh")) {
        const path = join(directory, tool);
        const program = readlinkSync(path);
        rmSync(path);
        const script = `#!/bin/sh\nprintf '%s\\n' "${tool} $*" >>${recordPath}\nexec ${program} "$@"\n`;
        writeFileSync(path, script, { mode: 0o755 });
      }
    },
  };
}

/** Starts a proxy that requires user and password, in front of a public git server. */
async function startPrivateServer(target: string, authorization: string): Promise<Server & { port: number }> {
  const server = createServer((incoming, outgoing) => {
    if (incoming.headers.authorization !== authorization) {
      outgoing.writeHead(401, { "www-authenticate": 'Basic realm="private"' }).end();
      return;
    }
    const { method, headers } = incoming;
    const onward = request(new URL(incoming.url ?? "/", target), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return Object.assign(server, { port });
}

describe("secrets in a guest", { concurrency: 6 }, () => {
  for (const kind of guestsFor("secrets of steps")) {
    test(`steps get secrets unchanged: ${kind.name}`, { skip: missingFor(kind) }, async () => {
      const script = `printf '%s|' "$TOKEN" "$KEY" ${secrets
        .slice(2)
        .map(({ name }) => `"$${name}"`)
        .join(" ")}`;
      const { endpoint, exit } = await harness.start({
        kind,
        plan: { secrets, notes: ["solstice: one note", "solstice: another"], steps: stepsOf(script, script) },
      });
      assert.equal(await exit, 0);
      const values = secrets.map(({ value }) => `${value}|`).join("");
      assert.equal(endpoint.text(), `solstice: one note\nsolstice: another\n${values}${values}`);
      assertProven(endpoint);
    });
  }

  test("a secret appears in no argument list and in none of the runner's files", async () => {
    const recordPath = join(await harness.directory(), "arguments");
    const { endpoint, exit, state, work } = await harness.start({
      kind: recordingKind(recordPath),
      plan: {
        env: { PLAIN: "plain value" },
        secrets,
        steps: stepsOf('touch seen; until [ -e go ]; do sleep 0.05; done; printf %s "$TOKEN" | wc -c'),
      },
    });
    await endpoint.until(() => endpoint.events.length > 0, "the step");
    const files = readdirSync(state).filter((name) => !name.startsWith("pipe-"));
    for (const name of files) assert.doesNotMatch(readFileSync(join(state, name), "latin1"), /hunter2/, name);
    writeFileSync(join(work, "checkout/go"), "");
    assert.equal(await exit, 0);
    assert.equal(endpoint.text(), "19\n");
    const record = readFileSync(recordPath, "utf8");
    assert.match(record, /^env .*PLAIN=plain value/m, "the record contains argument lists");
    assert.match(record, /^setsid /m);
    assert.doesNotMatch(record, /hunter2|second|the secret called/);
  });

  for (const kind of guestsFor("a private repository")) {
    test(`a private repository is checked out, and its password stays with git: ${kind.name}`, {
      skip: missingFor(kind),
    }, async () => {
      const directory = await harness.directory();
      const commitSha = await commitFiles(join(directory, "project.git"), { "hello.txt": "private\n" });
      const open = await startGitServer(directory);
      const authorization = `Basic ${Buffer.from("ci-user:hunter2%@:/x").toString("base64")}`;
      const server = await startPrivateServer(open.url, authorization);
      const checkout = { kind: "password", username: "ci-user", secret: "hunter2%@:/x" } as const;
      try {
        const { endpoint, exit } = await harness.start({
          kind,
          plan: {
            repoUrl: `http://127.0.0.1:${server.port}/project.git`,
            commitSha,
            checkout,
            steps: stepsOf("cat hello.txt; env; cat .git/config; git config --list"),
          },
        });
        assert.equal(await exit, 0, endpoint.text());
        assert.match(endpoint.text(), /^private$/m);
        assert.doesNotMatch(endpoint.text(), /hunter2|ci-user|SOLSTICE_CHECKOUT/);
      } finally {
        server.closeAllConnections();
        server.close();
        await open.close();
      }
    });
  }

  test("a wrong password is reported", async () => {
    const directory = await harness.directory();
    const commitSha = await commitFiles(join(directory, "project.git"), { "hello.txt": "private\n" });
    const server = await startPrivateServer("http://127.0.0.1:9", "Basic right");
    const { endpoint, exit } = await harness.start({
      plan: {
        repoUrl: `http://127.0.0.1:${server.port}/project.git`,
        commitSha,
        checkout: { kind: "password", username: "ci-user", secret: "hunter2" },
        steps: stepsOf("echo never"),
      },
    });
    await exit;
    server.closeAllConnections();
    server.close();
    assert.equal(endpoint.finish?.failure, "checkout");
    assert.match(endpoint.text(), /requires credentials that this job does not have/);
    assert.doesNotMatch(endpoint.text(), /hunter2/);
  });

  test("an ssh key is in a file of its own while git runs, and removed before the first step", async () => {
    const [plain] = guestKinds as [GuestKind];
    const kind: GuestKind = {
      name: "an ssh that prints its arguments",
      shell: plain.shell,
      fillPath: async (directory) => {
        await plain.fillPath(directory);
        const script =
          '#!/bin/sh\necho "ssh arguments: $*" >&2\nls -l "$2" >&2\nsed "s/^/key: /" "$2" >&2\nexit 255\n';
        writeFileSync(join(directory, "ssh"), script, { mode: 0o755 });
        for (const [tool, program] of [["ls", "/bin/ls"]] as const) {
          writeFileSync(join(directory, tool), `#!/bin/sh\nexec ${program} "$@"\n`, { mode: 0o755 });
        }
      },
    };
    const { endpoint, exit, state } = await harness.start({
      kind,
      plan: {
        repoUrl: "ssh://git@127.0.0.1/project.git",
        commitSha: "0123456789abcdef0123456789abcdef01234567",
        checkout: { kind: "ssh_key", username: "", secret: "line one\nline two" },
        steps: stepsOf("echo never"),
      },
    });
    await exit;
    assert.match(endpoint.text(), /^ssh arguments: -i \S+\/key -o IdentitiesOnly=yes/m);
    assert.match(endpoint.text(), /^-rw------- /m);
    assert.match(endpoint.text(), /^key: line one\nkey: line two$/m);
    assert.ok(!readdirSync(state).includes("key"));
  });
});
