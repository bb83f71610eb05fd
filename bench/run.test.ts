import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bench, Section } from "./bench.ts";
import type { Report } from "./report.ts";
import { runSections } from "./run.ts";

const bench: Bench = {
  isQuick: true,
  report: () => {},
  makeDirectory: () => assert.fail("no directory is needed"),
  broker: () => assert.fail("no broker is needed"),
  database: () => assert.fail("no database is needed"),
};

function measuring(section: string, value: number): Section {
  return async () => [{ section, name: "speed", value, unit: "jobs/s" }];
}

test("a section that fails is named, and the figures of the others are kept", async () => {
  const kept: Report[] = [];
  const printed: string[] = [];
  const sections = new Map<string, Section>([
    ["first", measuring("first", 1)],
    ["second", () => Promise.reject(new Error("the broker cannot be reached"))],
    ["third", measuring("third", 3)],
  ]);
  const failed = await runSections(sections, bench, {
    print: (text) => void printed.push(text),
    keep: (report) => void kept.push(report),
  });
  assert.deepEqual(failed, ["second"]);
  assert.deepEqual(
    kept.map(({ figures }) => figures.map(({ section, value }) => [section, value])),
    [
      [["first", 1]],
      [["first", 1]],
      [
        ["first", 1],
        ["third", 3],
      ],
    ],
    "the figures are kept after each section",
  );
  assert.deepEqual(printed, ["first  speed  1  jobs/s\n", "third  speed  3  jobs/s\n"]);
});
