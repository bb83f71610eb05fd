import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const module = new URL("make-directory.ts", import.meta.url).href;

test("a directory and its missing parents get the given mode, under any umask", (t) => {
  const root = mkdtempSync(join(tmpdir(), "solstice-mode-"));
  t.after(() => rmSync(root, { recursive: true }));
  const modeOf = (...parts: string[]) => statSync(join(root, ...parts)).mode & 0o777;
  for (const umask of ["077", "000", "027"]) {
    mkdirSync(join(root, umask));
    const before = modeOf(umask);
    // The umask belongs to the whole process: the script runs in a process of its own.
    const script = `
      import { makeDirectory } from ${JSON.stringify(module)};
      process.umask(0o${umask});
      makeDirectory(${JSON.stringify(join(root, umask, "a", "b"))}, 0o711);
      makeDirectory(${JSON.stringify(join(root, umask, "a", "b"))}, 0o777);`;
    execFileSync(process.execPath, [
      "--disable-warning=ExperimentalWarning",
      "--input-type=module",
      "-e",
      script,
    ]);
    assert.deepEqual([modeOf(umask, "a"), modeOf(umask, "a", "b")], [0o711, 0o711], umask);
    assert.equal(modeOf(umask), before, "an existing directory keeps its mode");
  }
});
