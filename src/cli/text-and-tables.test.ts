import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import type { Output } from "./context.ts";
import { exitCodeOfJob } from "./exit-codes.ts";
import { tableText } from "./table.ts";
import { durationText, manyLines, oneLine, repositoryText } from "./text.ts";

test("a table is never wider than the terminal, as long as there is room for its columns", () => {
  const cell = fc.string({ minLength: 0, maxLength: 60 }).map(oneLine);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell, cell), { maxLength: 5 }),
      fc.integer({ min: 18, max: 120 }),
      (rows, columns) => {
        const output = { isTTY: true, columns } as Output;
        const text = tableText({ head: ["A", "B", "C"], rows, flexible: [2] }, output);
        for (const line of text.split("\n"))
          assert.ok(stripVTControlCharacters(line).length <= columns, line);
      },
    ),
  );
});

test("a pipe gets a table whole", () => {
  const long = "x".repeat(300);
  assert.equal(
    tableText({ head: ["A", "B"], rows: [[long, "y"]] }, {} as Output),
    `A${" ".repeat(301)}B\n${long}  y\n`,
  );
});

test("texts of others cannot steer the terminal", () => {
  assert.equal(oneLine("a\u001b[2J\nb\tc\u202ed"), "a�[2J b c�d");
  assert.equal(manyLines("a\r\nb\u0007"), "a\nb�");
});

test("durations and repositories for people", () => {
  assert.deepEqual([0, 940, 9949, 9999, 59_900, 185_000, 7_620_000, 356_400_000, -5].map(durationText), [
    "0.0s",
    "0.9s",
    "9.9s",
    "10s",
    "1m00s",
    "3m05s",
    "2h07m",
    "4d03h",
    "0.0s",
  ]);
  assert.equal(repositoryText("https://example.org/octo/cat.git"), "octo/cat");
  assert.equal(repositoryText("ssh://git@h:22/a/b/c"), "h:22/a/b/c");
  assert.equal(repositoryText("git@h:octo/cat.git"), "octo/cat");
  assert.equal(repositoryText("[git@h:22]:a/b/c"), "h:22/a/b/c");
});

test("a job that did not succeed never exits 0", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("failed", "infra_error", "cancelled", "timed_out", "new"),
      fc.integer(),
      (state, code) => {
        const exitCode = exitCodeOfJob(state, code);
        assert.ok(exitCode > 0 && exitCode <= 255);
      },
    ),
  );
  assert.equal(exitCodeOfJob("failed", 42), 42);
});
