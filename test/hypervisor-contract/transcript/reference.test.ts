import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runCommand } from "../../../src/host/command.ts";
import { compareTranscripts, describeDifferences } from "./compare.ts";
import { parseTranscript } from "./entry.ts";
import { normalise } from "./normalise.ts";

/** Tests of the contract that boot no guest, so that nothing in them is a matter of time. */
const only = "creating twice|preparing again|absent and quiet";

const reference = join(import.meta.dirname, "stand-in.jsonl");
const main = join(import.meta.dirname, "../contract-main.ts");

test("the stand-in answers as the transcript in the tree says", { timeout: 300_000 }, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "transcript-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "now.jsonl");
  const args = ["--disable-warning=ExperimentalWarning", main, "--backend", "zones", "--only", only];
  await runCommand(process.execPath, [...args, "--transcript", file], { deadlineSeconds: 300 });
  const [then, now] = [reference, file].map((path) => normalise(parseTranscript(readFileSync(path, "utf8"))));
  const told = describeDifferences(compareTranscripts(then ?? [], now ?? [])).join("\n");
  assert.equal(
    told,
    "",
    `${told}\nWhere that is meant, keep the new one: npm run contract -- --backend zones \\
    --only '${only}' --transcript ${reference}`,
  );
});
