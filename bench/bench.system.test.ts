import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import type { Report } from "./report.ts";
import { median, percentile } from "./statistics.ts";

const main = new URL("main.ts", import.meta.url).pathname;

test("a quick run of the sections without guests measures everything that they name", async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-bench-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const output = join(directory, "figures.json");
  const args = ["throughput", "backlog", "logs", "follow", "artifacts", "--quick", "--output", output];
  await promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args]);
  const { figures, isQuick } = JSON.parse(readFileSync(output, "utf8")) as Report;
  assert.equal(isQuick, true);
  assert.deepEqual(
    new Set(figures.map(({ section }) => section)),
    new Set(["throughput", "backlog", "logs", "follow", "artifacts"]),
  );
  assert.deepEqual(
    figures.filter(({ value }) => !(value > 0)),
    [],
    "a figure that is no positive number was not measured",
  );
});

test("percentiles are values that occurred, by the nearest rank", () => {
  const values = [30, 10, 20, 40];
  assert.equal(median(values), 20);
  assert.equal(percentile(values, 0.99), 40);
  assert.equal(percentile(values, 0), 10);
  assert.throws(() => percentile([], 0.5), RangeError);
});
