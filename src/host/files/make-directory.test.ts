import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const module = new URL("make-directory.ts", import.meta.url).href;

test("a directory and the parents that it needs have the mode that was said, under any umask", (t) => {
  const root = mkdtempSync(join(tmpdir(), "solstice-mode-"));
  t.after(() => rmSync(root, { recursive: true }));
  const modeOf = (...parts: string[]) => statSync(join(root, ...parts)).mode & 0o777;
  for (const umask of ["077", "000", "027"]) {
    mkdirSync(join(root, umask));
    const before = modeOf(umask);
    // A umask is the whole process's: it is set in one of its own.
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
    assert.equal(modeOf(umask), before, "what was there is left");
  }
});
