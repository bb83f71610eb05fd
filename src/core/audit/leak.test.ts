import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { leakKinds } from "./leak.ts";

test("docs/reference/leaks.md names exactly the kinds that exist", () => {
  const page = readFileSync(new URL("../../../docs/reference/leaks.md", import.meta.url), "utf8");
  const section = /## Kinds\n\n(.*?)\n\n/s.exec(page)?.[1] ?? "";
  const documented = [...section.matchAll(/^\| `([a-z_]+)` +\|/gm)].map((match) => match[1]);
  assert.deepEqual(documented.toSorted(), leakKinds.toSorted());
});
