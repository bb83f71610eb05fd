import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { errorCodes } from "./errors.ts";

test("docs/reference/errors.md names exactly the codes that exist", () => {
  const page = readFileSync(new URL("../../docs/reference/errors.md", import.meta.url), "utf8");
  const documented = [...page.matchAll(/^\| `([a-z_]+)` +\|/gm)].map((match) => match[1]);
  assert.deepEqual([...documented].sort(), [...errorCodes].sort());
});
