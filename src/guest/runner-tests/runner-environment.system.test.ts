/** Environment of a step: the signals and the environment of a login, however the runner was started. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../host/command.ts";
import { guestKinds, guestsFor, missingFor } from "../testing/guest-kinds.ts";
import { assertProven, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

const hasReset = guestKinds.filter(({ name }) => !name.includes("busybox"));

for (const guest of guestsFor("ignored signals", hasReset)) {
  test(`a step does not inherit ignored signals from its runner: ${guest.name}`, {
    skip: missingFor(guest),
    timeout: 60_000,
  }, async () => {
    const deaf = 'trap "" PIPE INT QUIT; exec "$0" "$@"';
    const kind = { ...guest, shell: ["/bin/sh", "-c", deaf, ...guest.shell] };
    const run = `bash -c 'yes | head -1; echo status: \${PIPESTATUS[*]}'; grep SigIgn /proc/self/status`;
    const { endpoint, exit } = await harness.start({ kind, plan: { steps: stepsOf(run) } });
    assert.equal(await exit, 0);
    assert.equal(endpoint.text(), "y\nstatus: 141 0\nSigIgn:\t0000000000000000\n");
    assertProven(endpoint);
  });
}

for (const guest of guestsFor("the environment of a login")) {
  test(`steps have the environment of a login shell: ${guest.name}`, {
    skip: missingFor(guest),
    timeout: 60_000,
  }, async () => {
    const profile = "echo noise; export FROM_PROFILE='a \"b\"'; state=/nowhere; export work=mine\n";
    const run = [
      'echo "$FROM_PROFILE|$USER|$LOGNAME|$SHELL|$work|$GIVEN|$CI|$TERM"',
      'echo "$PATH" | tr : "\\n" | grep -c path-',
      'pwd; echo "unit $INVOCATION_ID"',
    ].join("\n");
    const { endpoint, exit, work } = await harness.start({
      kind: guest,
      env: { SOLSTICE_LOGIN: "yes", INVOCATION_ID: "of the unit" },
      furnish: async (home) => {
        for (const name of [".profile", ".bash_profile"]) await writeFile(join(home, name), profile);
      },
      plan: { env: { GIVEN: "by the job" }, steps: stepsOf(run) },
    });
    assert.equal(await exit, 0);
    const { stdout: user } = await runCommand("id", ["-un"]);
    const name = user.trim();
    const [first, paths, directory, unit] = endpoint.text().split("\n");
    assert.match(
      first ?? "",
      new RegExp(`^a "b"\\|${name}\\|${name}\\|/[\\w/]+\\|mine\\|by the job\\|true\\|dumb$`),
    );
    // The runner's own search directories come after those of the login.
    assert.deepEqual([paths, directory, unit], ["1", `${work}/checkout`, "unit "]);
    assertProven(endpoint);
  });
}

test("systemd starts the runner with the signals and limits of a login", async () => {
  const boot = await readFile(new URL("../runner/boot.sh", import.meta.url), "utf8");
  assert.match(boot, /^IgnoreSIGPIPE=no$/m);
  assert.doesNotMatch(boot, /^Limit/m);
});

test("a guest's own name resolves, and an existing entry of its hosts file is kept", async () => {
  const boot = await readFile(fileURLToPath(new URL("../runner/boot.sh", import.meta.url)), "utf8");
  const body = /^name_itself\(\) \{\n.*?^\} 2>\/dev\/null\n/ms.exec(boot)?.[0] ?? assert.fail("name_itself");
  const hosts = join(await harness.directory(), "hosts");
  const nameItself = async (before: string) => {
    await writeFile(hosts, before);
    await runCommand("/bin/sh", ["-c", `hosts=${hosts}\n${body}name_itself`]);
    return readFile(hosts, "utf8");
  };
  const known = `127.0.0.1\tlocalhost\n10.1.2.3 full.example.org ${hostname()}\n`;
  assert.equal(await nameItself(known), known);
  const local = "127.0.0.1 localhost\n";
  assert.equal(await nameItself(local), `${local}127.0.1.1 ${hostname()}\n`);
  assert.equal(
    await nameItself(`#10.1.2.3 ${hostname()}\n`),
    `#10.1.2.3 ${hostname()}\n127.0.1.1 ${hostname()}\n`,
  );
});
