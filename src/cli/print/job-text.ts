import type { Job, JobStep } from "../../gen/solstice/v1/jobs_pb.ts";
import type { Output } from "../context.ts";
import { cacheUsesText } from "./cache-list.ts";
import { holdFact } from "./hold-text.ts";
import { stateTimings } from "./job-document.ts";
import { paint, paintState } from "./output.ts";
import { tableText } from "./table.ts";
import { durationText, manyLines, oneLine, timeText } from "./text.ts";
import { completenessText } from "./verdict-text.ts";

/** All facts about one job, as text for people. */
export function jobText(job: Job, output: Output, now: number): string {
  const sections = [
    factsText(job, output),
    stepsText(job, output, now),
    cacheUsesText(job, output),
    statesText(job, output, now),
  ];
  return sections.filter((section) => section !== "").join("\n");
}

function factsText(job: Job, output: Output): string {
  const facts: [string, string][] = [
    ["Job", job.id],
    [
      "State",
      paintState(output, job.state, oneLine(job.state)) + (job.cancelRequested ? " (cancel requested)" : ""),
    ],
    ["Verdict", verdictFact(job)],
    ["Repository", oneLine(job.repoUrl)],
    ["Commit", oneLine(job.commitSha) + (job.ref ? ` (${oneLine(job.ref)})` : "")],
    ["Label", `${oneLine(job.label)} (image ${oneLine(job.image)})`],
    ["Size", `${job.cpu} CPU, ${job.ramMb} MiB memory, ${job.diskGb} GiB disk`],
    ["Attempt", `${job.attempt} of ${job.maxAttempts}${job.hostId ? ` on ${oneLine(job.hostId)}` : ""}`],
    ["Guest", holdFact(job)],
    ["Priority", String(job.priority)],
    ["Timeout", durationText(job.timeoutSeconds * 1000)],
    ["Submitted", momentText(job.submittedMs) + (job.source ? ` by ${oneLine(job.source)}` : "")],
    ["Finished", momentText(job.finishedMs)],
    ["Log", job.log ? `${job.log.receivedBytes} bytes, ${completenessText(job.log)}` : ""],
    ["Request", oneLine(job.requestId)],
    ["Repeats", oneLine(job.retryOf)],
    ["Repeated by", job.retries.map(oneLine).join(", ")],
  ];
  const shown = facts.filter(([, value]) => value !== "");
  return shown.map(([name, value]) => `${paint(output, "bold", name.padEnd(11))} ${value}\n`).join("");
}

function verdictFact({ verdict }: Job): string {
  if (!verdict) return "";
  return `${manyLines(verdict.message)} (${oneLine(verdict.reason)})`;
}

function stepsText(job: Job, output: Output, now: number): string {
  if (job.steps.length === 0) return "";
  const head = ["STEP", "NAME", "STATE", "EXIT", "TOOK"];
  const rows = job.steps.map((step) => [
    String(step.index),
    oneLine(step.name),
    paintState(output, step.state, oneLine(step.state)),
    step.exitCode === undefined ? "" : String(step.exitCode),
    stepDuration(step, now),
  ]);
  return tableText({ head, rows, flexible: [1] }, output);
}

function stepDuration(step: JobStep, now: number): string {
  if (step.startedMs === 0n) return "";
  return durationText((step.finishedMs === 0n ? now : Number(step.finishedMs)) - Number(step.startedMs));
}

function statesText(job: Job, output: Output, now: number): string {
  const timings = stateTimings(job, now);
  if (timings.length === 0) return "";
  const head = ["ATTEMPT", "STATE", "SINCE", "TOOK", "REASON"];
  const rows = job.transitions.map((transition, index) => [
    String(transition.attempt),
    paintState(output, transition.to, oneLine(transition.to)),
    momentText(transition.atMs),
    timings[index] ? durationText(timings[index].ms) : "",
    oneLine(transition.reason),
  ]);
  return tableText({ head, rows, flexible: [4] }, output);
}

/** A point in time as text; empty for 0, an event that has not happened. */
function momentText(ms: bigint): string {
  return ms === 0n ? "" : timeText(ms);
}
