import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import type { JobStep } from "../../gen/solstice/v1/jobs_pb.ts";
import type { Output } from "../context.ts";
import { createStepPrinter } from "../follow/step-printer.ts";
import { exitCodeOfError, exitCodeOfJob } from "./exit-codes.ts";
import { guestOutput, jsonText } from "./output.ts";
import { tableText } from "./table.ts";
import { durationText, manyLines, oneLine, repositoryText, timeText } from "./text.ts";

test("a table is never wider than a terminal that has room for its columns", () => {
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

test("an id is complete at any width, and no other line is wider than the terminal", () => {
  const id = "7k3m9x2q4w8z";
  for (const columns of [24, 40, 60, 80]) {
    const output = { isTTY: true, columns } as Output;
    const head = ["ID", "STATE", "LABEL", "SOURCE", "AGE", "TOOK", "VERDICT"];
    const row = [
      "finalizing (on hold)",
      "debian-latest",
      "octo/cat@01234567",
      "3m05s",
      "3m05s",
      "It failed.",
    ];
    const rows = [0, 1].map(() => [id, ...row]);
    const text = tableText({ head, rows, flexible: [3, 6], whole: [0] }, output);
    assert.equal(text.split(id).length, 3, text);
    for (const line of text.split("\n")) assert.ok(line.length <= columns, `${columns}: ${line}`);
    assert.equal(text.includes("\n\nID"), columns < 80, "a block for each row when columns have no room");
  }
});

test("a column that may not be cut is complete on a narrow terminal", () => {
  const row = ["1", "2023-11-14 22:14:05 UTC", "/var/lib/solstice/images/debian-12.qcow2", "why".repeat(40)];
  for (const columns of [20, 40, 60]) {
    const output = { isTTY: true, columns } as Output;
    const head = ["ID", "SINCE", "PATH", "REASON"];
    const text = tableText({ head, rows: [row], flexible: [3], whole: [0] }, output);
    const shown = text.replaceAll(/\s+/g, "");
    const kept = columns < 60 ? row : row.slice(0, 3);
    for (const cell of kept)
      assert.ok(shown.includes(cell.replaceAll(" ", "")), `${columns}: ${cell}\n${text}`);
  }
});

test("a point in time is shown in UTC and 24 hours", () => {
  assert.equal(timeText(1_764_440_963_123n), "2025-11-29 18:29:23 UTC");
});

test("a table for a pipe is not cut", () => {
  const long = "x".repeat(300);
  assert.equal(
    tableText({ head: ["A", "B"], rows: [[long, "y"]] }, {} as Output),
    `A${" ".repeat(301)}B\n${long}  y\n`,
  );
});

test("untrusted texts cannot control the terminal", () => {
  assert.equal(oneLine("a\u001b[2J\nb\tc\u202ed"), "a�[2J b c�d");
  assert.equal(manyLines("a\r\nb\u0007"), "a\nb�");
});

/** An output that records its bytes, as a terminal or as a pipe. */
function collect(isTTY: boolean) {
  const chunks: Buffer[] = [];
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk);
      done();
    },
  });
  return { output: Object.assign(output, { isTTY }) as Output, text: () => Buffer.concat(chunks).toString() };
}

test("a job's log does not control a terminal; a pipe receives each byte", async () => {
  const log = "\u001b[31mred\u001b[2J\u001b]52;c;eA==\u0007";
  for (const [isTTY, shown] of [
    [true, "\u001b[31mred�]52;c;eA==�\u001b[0m"],
    [false, log],
  ] as const) {
    const { output, text } = collect(isTTY);
    const guest = guestOutput(output);
    for (const byte of Buffer.from(log)) await guest.write(Buffer.of(byte));
    await guest.end();
    assert.equal(text(), shown);
  }
});

test("a step's heading does not take the colours of the log before it", async () => {
  const { output, text } = collect(true);
  const printer = createStepPrinter(output);
  const step = (name: string, logStart: bigint) => ({ name, logStart }) as JobStep;
  await printer.setSteps(1, [step("one\u001b[2J", 0n), step("two", 8n)]);
  await printer.print({ attempt: 1, offset: 0, skipped: 0, data: Buffer.from("\u001b[31mabc") });
  await printer.finish();
  assert.match(text(), /==> one�\[2J/);
  assert.ok(text().includes("abc\u001b[0m\n"), JSON.stringify(text()));
});

test("JSON does not control a terminal, and its value stays the same", () => {
  const value = { name: "a\u001b[2J\u009b6n\u007f\u202e\u2028ü" };
  assert.equal(jsonText(value), String.raw`{"name":"a\u001b[2J\u009b6n\u007f\u202e\u2028ü"}`);
  assert.deepEqual(JSON.parse(jsonText(value)), value);
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

test("a mistyped label and a mistyped size have the exit code of a wrong command line", () => {
  assert.deepEqual([exitCodeOfError("unknown_label"), exitCodeOfError("usage")], [2, 2]);
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
