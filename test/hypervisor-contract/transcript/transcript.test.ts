import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { runCommand } from "../../../src/host/command.ts";
import { compareTranscripts } from "./compare.ts";
import { parseTranscript, type TranscriptEntry } from "./entry.ts";
import { normalise } from "./normalise.ts";
import { createRecorder } from "./record.ts";

describe("recording", () => {
  test("each command is a line: what was asked, what it answered, and which test asked; not what it read", async (context) => {
    const directory = mkdtempSync(join(tmpdir(), "transcript-"));
    context.after(() => rmSync(directory, { recursive: true }));
    const file = join(directory, "transcript.jsonl");
    const recorder = createRecorder(file);
    const run = recorder.recording(runCommand);
    recorder.begin("the first");
    assert.equal((await run("wc", ["-c"], { input: "a secret" })).exitCode, 0);
    recorder.begin("the second");
    await assert.rejects(run("sh", ["-c", "echo out; echo no >&2; exit 3"]), { code: "internal" });
    await assert.rejects(run("no-such-program", []), { code: "host_missing_tool" });
    const written = readFileSync(file, "utf8");
    assert.doesNotMatch(written, /a secret/);
    const entries = parseTranscript(written);
    const seen = entries.map(({ ms, ...rest }) => {
      assert.ok(ms >= 0);
      return rest;
    });
    assert.deepEqual(seen, [
      { test: "the first", command: "wc", arguments: ["-c"], exitCode: 0, stdout: "8\n", stderr: "" },
      {
        test: "the second",
        command: "sh",
        arguments: ["-c", "echo out; echo no >&2; exit 3"],
        exitCode: 3,
        stdout: "out\n",
        stderr: "no\n",
      },
      {
        test: "the second",
        command: "no-such-program",
        arguments: [],
        exitCode: null,
        stdout: "",
        stderr: "",
      },
    ]);
  });

  test("a line that is none is named", () => {
    assert.throws(() => parseTranscript('\n{"test":"x"}\n'), { message: /line 2/ });
  });
});

const entry = (command: string, changes: Partial<TranscriptEntry> = {}): TranscriptEntry => {
  const [program = "", ...args] = command.split(" ");
  return {
    test: "a test",
    command: program,
    arguments: args,
    exitCode: 0,
    stdout: "",
    stderr: "",
    ms: 1,
    ...changes,
  };
};

describe("comparing", () => {
  const job = "t0123456789abcdef";
  const other = "tfedcba9876543210";

  test("two runs that differ only by nature are equal", () => {
    const run = (id: string, zone: number, uuid: string) => [
      entry(`zoneadm -z job-${id} boot`, { ms: zone }),
      entry("zoneadm list -cp", { stdout: `${zone}:job-${id}:running:/p/job-${id}:${uuid}:bhyve:excl\n` }),
      entry(`zfs create -V ${id === job ? "134217728" : "268435456"} tank/a`),
    ];
    const mine = normalise(run(job, 7, "a3b2c1d0-0000-4000-8000-0123456789ab"));
    const theirs = normalise(run(other, 12, "00000000-1111-4222-8333-444444444444"));
    assert.deepEqual(compareTranscripts(mine, theirs), []);
  });

  test("what the operator chose has one word", () => {
    const mine = normalise([entry("zfs list -r rpool/si/images")], { POOL: "rpool/si" });
    const theirs = normalise([entry("zfs list -r tank/ci/images")], { POOL: "tank/ci" });
    assert.deepEqual(mine, theirs);
  });

  test("exit codes, words and order are told", () => {
    const mine = [
      entry("zoneadm -z a install"),
      entry("zoneadm -z a halt", { exitCode: 1, stderr: "zoneadm: zone 'a': not running\n" }),
      entry("zfs destroy tank/a"),
    ];
    const theirs = [
      entry("zoneadm -z a install"),
      entry("zoneadm -z a ready"),
      entry("zoneadm -z a halt", { exitCode: 0, stderr: "zone 'a': zone is already halted\n" }),
      entry("zfs destroy tank/a", { stdout: "will destroy\n" }),
    ];
    const reported = compareTranscripts(mine, theirs).map(({ command, what }) => `${command}: ${what}`);
    assert.deepEqual(reported, [
      "zoneadm -z a ready: the order of commands",
      "zoneadm -z a halt: the exit code",
      "zoneadm -z a halt: the words of its error",
      "zfs destroy tank/a: the output",
    ]);
  });

  test("of commands that only look, what they show counts, and not how often", () => {
    const shows = (state: string) => entry("zoneadm list -cp", { stdout: `-:a:${state}:/p::bhyve:excl\n` });
    assert.deepEqual(compareTranscripts([shows("installed")], [shows("installed"), shows("installed")]), []);
    const [difference, ...rest] = compareTranscripts(
      [shows("installed")],
      [shows("installed"), shows("down")],
    );
    assert.deepEqual(rest, []);
    assert.deepEqual([difference?.mine, difference?.theirs], ["", "-:a:down:/p::bhyve:excl"]);
  });

  test("a test that only one of them ran is named", () => {
    const [difference] = compareTranscripts([entry("zfs list")], []);
    assert.deepEqual(
      [difference?.what, difference?.mine, difference?.theirs],
      ["the test", "run", "not run"],
    );
  });
});
