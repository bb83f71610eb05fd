import assert from "node:assert/strict";
import { test } from "node:test";
import { describeConsole } from "./console.ts";

const numbered = (count: number) => Array.from({ length: count }, (_, at) => `line ${at}`);

test("an empty console is said to be empty", () => {
  assert.equal(describeConsole(""), " Its console is empty.");
  assert.equal(describeConsole("\r\n \n"), " Its console is empty.");
});

test("the last lines are shown, without what a terminal would obey, none without end", () => {
  const shown = describeConsole([...numbered(30), `\u001b[31m${"x".repeat(5000)}`].join("\r\n")).split("\n");
  assert.equal(shown.length, 14);
  assert.equal(shown[2], "  | line 19");
  assert.equal(shown.at(-1), `  | ${"x".repeat(200)}`);
});

test("the line with the panic is shown, however much the kernel says after it", () => {
  const panic = "[   12.69] Kernel panic - not syncing: sysrq triggered crash";
  const shown = describeConsole([panic, ...numbered(50)].join("\n")).split("\n");
  assert.equal(shown[2], `  | ${panic}`);
  assert.equal(shown.length, 15);
  const short = describeConsole([panic, "---"].join("\n"));
  assert.equal(short.match(/Kernel panic/g)?.length, 1);
});
