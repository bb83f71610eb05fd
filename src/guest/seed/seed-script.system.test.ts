/** The script of a seed, in every shell that may be a guest's /bin/sh. */
import assert from "node:assert/strict";
import { readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isSolsticeError } from "../../core/errors.ts";
import type { GuestFile } from "../../core/job/guest.ts";
import { runCommand } from "../../host/command.ts";
import { type RunnerAccess, runnerFiles } from "../runner-files.ts";
import { guestsFor, missingFor, shellsAndClients } from "../testing/guest-kinds.ts";
import { assertProven, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";
import { buildSeedScript } from "./seed-script.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

/** The script needs two tools that the runner does not need. */
const kinds = shellsAndClients
  .filter(({ name }) => name.endsWith("and curl"))
  .map((kind) => ({
    ...kind,
    name: `${kind.name}, by its seed`,
    fillPath: async (path: string) => {
      await kind.fillPath(path);
      for (const tool of ["mv", "rmdir"]) await symlink(`/bin/${tool}`, join(path, tool));
    },
  }));

/** A file with text that a shell could expand in a here-document, longer than a pipe's buffer. */
const nasty = `$HOME $(id) \`id\` \\ \\\\ \\$x "q" 'q' \\
SOLSTICE_END
 SOLSTICE_END
SOLSTICE_END_
\ttab\u00e9\u20ac \x01\x7f
${"0123456789abcdef$x\\".repeat(5000)}
`;

function scriptIn(home: string, files: readonly GuestFile[]): string {
  return buildSeedScript({ files, boot: join(home, "boot.sh"), mark: join(home, "started-1") });
}

async function shellRuns(shell: readonly string[], path: string, exitCodes = [0]): Promise<string> {
  const [program = "sh", ...words] = shell;
  const result = await runCommand(program, [...words, path], { acceptExitCodes: exitCodes });
  return result.stderr;
}

/**
 * boot.sh itself powers the machine off at the end; this one runs the same runner. Tests with real guests run the real
 * one.
 */
const boot = `exec sh "\${0%/*}/runner.sh" run\n`;

async function bringByScript(home: string, access: RunnerAccess): Promise<void> {
  const files = runnerFiles(access).map((file) => {
    const name = basename(file.path);
    return { ...file, path: join(home, name), content: name === "boot.sh" ? boot : file.content };
  });
  await writeFile(join(home, "seed-script"), scriptIn(home, files), { mode: 0o600 });
}

describe("the script of a seed", { concurrency: 6 }, () => {
  for (const kind of kinds) {
    test(`${kind.name}: files arrive unchanged, with their permissions, once`, {
      skip: missingFor(kind),
    }, async () => {
      const home = await harness.directory();
      const boot = `echo "$0" >>"\${0%/*}/boots"\n`;
      const files = [
        { path: join(home, "deep/er/nasty"), content: nasty, permissions: "0640" },
        { path: join(home, "it's empty"), content: "", permissions: "0600" },
        { path: join(home, "boot.sh"), content: boot, permissions: "0700" },
      ];
      const script = join(home, "script");
      await writeFile(script, scriptIn(home, files));
      for (let run = 0; run < 2; run++) await shellRuns(kind.shell, script);
      for (const { path, content, permissions } of files) {
        assert.equal(await readFile(path, "utf8"), content, path);
        assert.equal((await stat(path)).mode & 0o777, Number.parseInt(permissions, 8), path);
      }
      assert.equal(await readFile(join(home, "boots"), "utf8"), `${join(home, "boot.sh")}\n`);
    });
  }

  for (const kind of guestsFor("a runner that a seed's script brings", kinds)) {
    test(`${kind.name}: the runner in the script gets its plan and runs the steps`, {
      skip: missingFor(kind),
      timeout: 60_000,
    }, async () => {
      const steps = stepsOf("echo one", "echo two >&2; exit 7");
      const { endpoint, exit } = await harness.start({
        kind,
        plan: { steps },
        bring: bringByScript,
        command: ["seed-script"],
      });
      assert.equal(await exit, 0);
      assert.equal(endpoint.text(), "one\ntwo\n");
      assert.equal(endpoint.finish?.exitCode, 7);
      assertProven(endpoint);
    });
  }

  test("after a failure no file is incomplete, and the next run completes the work", async () => {
    const home = await harness.directory();
    const inTheWay = join(home, "second");
    const files = [
      { path: join(home, "first"), content: "1\n", permissions: "0600" },
      { path: join(inTheWay, "file"), content: "2\n", permissions: "0600" },
      { path: join(home, "boot.sh"), content: `[ -e "\${0%/*}/ready" ]\n`, permissions: "0700" },
    ];
    const script = join(home, "script");
    await writeFile(script, scriptIn(home, files));
    await writeFile(inTheWay, "");
    assert.match(await shellRuns(["sh"], script, [1]), /^solstice: no directory for .*second\/file$/m);
    assert.deepEqual((await readdir(home)).sort(), ["first", "script", "second"]);
    await rm(inTheWay);
    assert.match(await shellRuns(["sh"], script, [1]), /^solstice: .*boot\.sh failed$/m);
    await writeFile(join(home, "ready"), "");
    await shellRuns(["sh"], script);
    assert.ok((await readdir(home)).includes("started-1"));
  });

  test("a file that a shell truncates is detected", async () => {
    const home = await harness.directory();
    const files = [{ path: join(home, "boot.sh"), content: "12345\n", permissions: "0700" }];
    const script = join(home, "script");
    await writeFile(script, scriptIn(home, files).replace("12345", "1234"));
    assert.match(await shellRuns(["sh"], script, [1]), /arrived incomplete$/m);
  });

  test("a file that is not text is rejected", () => {
    for (const content of ["a\0b\n", "no end of line"]) {
      assert.throws(
        () => scriptIn("/x", [{ path: "/x/y", content, permissions: "0600" }]),
        (error) => isSolsticeError(error, "usage"),
      );
    }
  });
});
