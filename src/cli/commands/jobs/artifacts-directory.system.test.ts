import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { keepArtifacts } from "../../testing/kept-artifacts.ts";
import { resultOf, startCliProcess } from "../../testing/run-cli.ts";

test("without -o files go into a new directory named after the job, never through a link", async (t) => {
  const { jobId, directory, env } = await keepArtifacts(t, {
    Makefile: Buffer.from("theirs"),
    ".git/config": Buffer.from("theirs"),
  });
  const get = () => resultOf(startCliProcess(["artifacts", "get", jobId], { cwd: directory, env }));
  writeFileSync(join(directory, "Makefile"), "mine");
  const got = await get();
  assert.deepEqual(got, {
    code: 0,
    stdout: `.git/config (saved as _git/config)\nMakefile\nIn ${jobId}/\n`,
    stderr: "",
  });
  assert.deepEqual(readdirSync(directory).sort(), ["Makefile", jobId].sort());
  assert.deepEqual(readdirSync(join(directory, jobId)).sort(), ["Makefile", "_git"]);
  assert.equal(readFileSync(join(directory, "Makefile"), "utf8"), "mine");
  rmSync(join(directory, jobId), { recursive: true });
  mkdirSync(join(directory, "real"));
  symlinkSync("real", join(directory, jobId));
  const refused = await get();
  assert.deepEqual([refused.code, /is a link; /.test(refused.stderr)], [1, true]);
  assert.deepEqual(readdirSync(join(directory, "real")), []);
});
