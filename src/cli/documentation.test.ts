import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  clientOptions,
  imageOptions,
  orchestratorOptions,
  publishOptions,
} from "../config/options/options.ts";
import { JobSchema } from "../gen/solstice/v1/jobs_pb.ts";
import { exitCodeMeanings, exitCodes } from "./print/exit-codes.ts";
import { jobDocument } from "./print/job-document.ts";
import { runCli } from "./testing/run-cli.ts";

const page = readFileSync(new URL("../../docs/reference/cli.md", import.meta.url), "utf8");

test("docs/reference/cli.md has exactly the exit codes that exist", () => {
  const section = /<!-- exit-codes:begin.*?-->(.*?)<!-- exit-codes:end -->/s.exec(page)?.[1] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  const documented = rows.slice(2).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[];
  assert.deepEqual(
    documented,
    names.map((name) => [String(exitCodes[name]), exitCodeMeanings[name]]),
  );
});

test("docs/reference/cli.md names every key of a job", () => {
  for (const key of Object.keys(jobDocument(create(JobSchema), 0)))
    assert.ok(page.includes(`\`${key}\``), key);
});

test("the help of each command has its options with environment and default, and examples", async () => {
  const tables = {
    orchestrator: orchestratorOptions,
    enqueue: { ...clientOptions, ...publishOptions },
    jobs: clientOptions,
    logs: clientOptions,
    retry: clientOptions,
    artifacts: clientOptions,
    cancel: clientOptions,
    explain: clientOptions,
    capacity: clientOptions,
    images: imageOptions,
  };
  const commands = Object.entries(tables);
  const helps = await Promise.all(commands.map(([command]) => runCli([command, "--help"])));
  for (const [index, [command, table]] of commands.entries()) {
    const { code, stdout } = helps[index] ?? {};
    assert.equal(code, 0);
    assert.match(stdout ?? "", /\nExamples:\n {2}\S+/, command);
    for (const [name, option] of Object.entries(table)) {
      assert.equal(
        option.flag.replace(/-(.)/g, (_: string, letter: string) => letter.toUpperCase()),
        name,
      );
      assert.match(stdout ?? "", new RegExp(`--${option.flag} <`), command);
      assert.match((stdout ?? "").replace(/\s+/g, " "), new RegExp(`env: ${option.environment}\\)`), command);
    }
  }
});
