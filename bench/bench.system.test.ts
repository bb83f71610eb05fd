import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { sample } from "../test/support/sampling.ts";
import type { Report } from "./report.ts";

const main = new URL("main.ts", import.meta.url).pathname;

/** One of the sections that need no guest, chosen by the seed of the run. */
const sections = sample(
  "sections of the bench",
  ["throughput", "backlog", "logs", "follow", "artifacts", "delays"],
  1,
);

test(`a quick run measures all figures of ${sections.join(", ")}`, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-bench-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const output = join(directory, "figures.json");
  const args = [...sections, "--quick", "--output", output];
  await promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args]);
  const { figures, isQuick } = JSON.parse(readFileSync(output, "utf8")) as Report;
  assert.equal(isQuick, true);
  assert.deepEqual(new Set(figures.map(({ section }) => section)), new Set(sections));
  assert.deepEqual(
    figures.filter(({ value }) => !(value > 0)),
    [],
    "every figure is a positive number",
  );
});
