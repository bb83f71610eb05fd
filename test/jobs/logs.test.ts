/** Tests the whole path of logs: a real runner as a process, the orchestrator, and the output of the command line. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { promisify } from "node:util";
import { submit, untilEnd } from "../support/jobs.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";

const run = promisify(execFile);
const mebibyte = 1024 * 1024;

const imageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;
const flags = ["--hypervisor", "noop", "--noop-runner", "process", "--runner-listen", "127.0.0.1:0"];

async function cli({ apiUrl }: OrchestratorProcess, ...args: string[]) {
  const { stdout, stderr } = await run(solstice, [...args, "--api-url", apiUrl], {
    env: cleanEnvironment(),
    encoding: "buffer",
    maxBuffer: 64 * mebibyte,
  });
  return { stdout, stderr: stderr.toString() };
}

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

test("NUL, split UTF-8, progress bars and a line of 10 MB arrive byte for byte", async (context) => {
  const orchestrator = await startOrchestrator(makeSetup(context, imageMap, flags));
  const odd = Buffer.concat([
    Buffer.from("a\0b\0\0\nzwölf €uro 🦊\n"),
    Buffer.from([0xff, 0xfe, 0x80]),
    Buffer.from("\n10%\r50%\r100%\r\n\u001b[2Kdone"),
  ]);
  const octal = [...odd].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  const steps = [
    // One byte at a time, so that chunks end within characters.
    {
      name: "odd",
      run: `for byte in ${octal
        .match(/.{4}/g)
        ?.map((byte) => `'${byte}'`)
        .join(" ")}; do printf "$byte"; sleep 0.01; done`,
    },
    { name: "long line", run: `head -c ${10 * mebibyte} /dev/zero | tr '\\0' x; echo end` },
    { name: "silent", run: "true" },
    { name: "last", run: "printf 'no newline'" },
  ];
  const job = await untilEnd(orchestrator, await submit(orchestrator, { steps }));
  assert.equal(job.log?.completeness, "complete");
  const long = Buffer.concat([Buffer.alloc(10 * mebibyte, "x"), Buffer.from("end\n")]);
  const whole = Buffer.concat([odd, long, Buffer.from("no newline")]);
  const { stdout, stderr } = await cli(orchestrator, "logs", job.id);
  assert.equal(sha256(stdout), sha256(whole));
  assert.equal(stderr, "");
  for (const [name, text, ...follow] of [
    ["odd", odd, "-f"],
    ["long line", long],
    ["silent", Buffer.alloc(0), "-f"],
    ["3", Buffer.from("no newline")],
  ] as const) {
    const { stdout } = await cli(orchestrator, "logs", ...follow, "--step", name, job.id);
    assert.ok(text.equals(stdout), name);
  }
});

test("a log beyond its limit keeps head and tail, and names the missing part", async (context) => {
  const setup = makeSetup(context, imageMap, [...flags, "--log-limit-mb", "1"]);
  const orchestrator = await startOrchestrator(setup);
  const script = "i=0; while [ $i -lt 30000 ]; do printf '%0100d\\n' $i; i=$((i + 1)); done";
  const job = await untilEnd(orchestrator, await submit(orchestrator, { script }));
  const whole = Buffer.from(
    Array.from({ length: 30_000 }, (_, at) => `${String(at).padStart(100, "0")}\n`).join(""),
  );
  const { completeness, missingFrom, missingTo, receivedBytes } = job.log ?? {};
  assert.deepEqual([completeness, Number(receivedBytes)], ["truncated", whole.length]);
  const [from, to] = [Number(missingFrom), Number(missingTo)];
  assert.equal(from, mebibyte / 2);
  assert.ok(whole.length - to <= mebibyte / 2 && whole.length - to > mebibyte / 4);
  const note = new RegExp(`\\nsolstice: bytes ${from}–${to} \\(2\\.\\d MiB\\) were not kept: .*\\n`);
  const { stdout, stderr } = await cli(orchestrator, "logs", job.id);
  const [line] = note.exec(stdout.toString()) ?? [];
  assert.ok(line);
  assert.ok(Buffer.concat([whole.subarray(0, from), Buffer.from(line), whole.subarray(to)]).equals(stdout));
  assert.match(stderr, /^The log is truncated: bytes \d+–\d+ \(2\.\d MiB\) were not kept\.\n$/);
  const { log } = JSON.parse((await cli(orchestrator, "jobs", "--json", job.id)).stdout.toString());
  assert.deepEqual([log.completeness, log.missing], ["truncated", { from, to }]);
});
