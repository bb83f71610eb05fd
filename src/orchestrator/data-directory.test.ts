import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openDataDirectory } from "./data-directory.ts";

test("a data directory is created, or the error names the problem and the remedy", (t) => {
  const root = mkdtempSync(join(tmpdir(), "solstice-data-"));
  t.after(() => rmSync(root, { recursive: true }));
  openDataDirectory(join(root, "a", "b"));
  openDataDirectory(join(root, "a", "b"));
  // QEMU's user may pass through the directory; other users cannot list it.
  assert.equal(statSync(join(root, "a", "b")).mode & 0o777, 0o711);
  const file = join(root, "file");
  writeFileSync(file, "");
  assert.throws(() => openDataDirectory(file), {
    code: "config_invalid",
    message: `--data-dir: ${file} cannot be used: a file with this name exists already.`,
    remedy: /--data-dir or SOLSTICE_DATA_DIR/,
  });
  assert.throws(() => openDataDirectory(join(file, "below")), /a part of the path is not a directory/);
});
