import { InvalidArgumentError, Option } from "commander";
import { SolsticeError } from "../../../core/errors.ts";
import { jobStates } from "../../../core/job/job-state.ts";
import type { Job } from "../../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../../api/api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { CliContext, Output } from "../../context.ts";
import { isOnHold } from "../../print/hold-text.ts";
import { jobDocument, jobSummaryDocument } from "../../print/job-document.ts";
import { jobText } from "../../print/job-text.ts";
import { paintState, write, writeJson } from "../../print/output.ts";
import { tableText } from "../../print/table.ts";
import { durationText, oneLine, repositoryText } from "../../print/text.ts";
import { rejectedDocument, rejectedText } from "./rejected-list.ts";

interface JobsFlags {
  readonly state?: readonly string[];
  readonly limit: number;
  readonly rejected?: true;
  readonly json?: true;
}

/** Most jobs of one listing: the API's limit. */
const limitMax = 1000;

/** `solstice jobs [JOB]`: lists the latest jobs, or shows all facts about one job. */
export const registerJobs: RegisterCommand = (program, context) => {
  const command = program
    .command("jobs [JOB]")
    .summary("list jobs, or show all facts about one job")
    .description(
      "Lists the latest jobs, newest first. With JOB (an id or the beginning of an id): the job's steps, attempts, verdict, and " +
        "the time in each state. With --rejected: messages of the broker that could not become jobs, with the reason; they are " +
        "in the dead-letter queue.",
    )
    .addOption(
      new Option("--state <STATE>", "only jobs in this state (repeatable)")
        .choices(jobStates)
        .argParser(collectState),
    )
    .option("--limit <N>", `at most this many, up to ${limitMax}`, parseLimit, 50)
    .option("--rejected", "list the messages of the broker that were rejected, instead of jobs");
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        ["solstice jobs", "the latest 50"],
        ["solstice jobs --state queued --state running", "waiting and running jobs"],
        ["solstice jobs 7k3m", "everything about the job whose id begins with 7k3m"],
        ["solstice jobs --rejected", "messages of the broker that could not become jobs, with the reason"],
        ["solstice jobs --json | jq '.jobs[] | select(.state == \"failed\") | .id'", "for programs"],
      ]),
    )
    .action(async (jobId: string | undefined, flags: JobsFlags) => {
      refuseContradiction(jobId, flags);
      const isGiven = (option: string) => command.getOptionValueSource(option) === "cli";
      if (jobId !== undefined && (isGiven("state") || isGiven("limit")))
        throw new SolsticeError("usage", "--state and --limit filter the list: do not give JOB with them.");
      const view = { context, flags, session: await openSession(command, context) };
      if (flags.rejected) await showRejected(view);
      else if (jobId === undefined) await showList(view);
      else await showJob(view, jobId);
    });
};

interface View {
  readonly context: CliContext;
  readonly flags: JobsFlags;
  readonly session: ApiSession;
}

async function showJob({ context, flags, session }: View, jobId: string): Promise<void> {
  const { job } = await session.call((client, options) => client.get({ jobId }, options));
  const now = context.now();
  if (!job) return;
  if (flags.json) await writeJson(context.stdout, jobDocument(job, now));
  else await write(context.stdout, jobText(job, context.stdout, now));
}

async function showList({ context, flags, session }: View): Promise<void> {
  const query = { states: [...(flags.state ?? [])], limit: flags.limit };
  const { jobs } = await session.call((client, options) => client.list(query, options));
  const now = context.now();
  if (flags.json) await writeJson(context.stdout, { jobs: jobs.map((job) => jobSummaryDocument(job, now)) });
  else await write(context.stdout, listText(jobs, context.stdout, now));
}

async function showRejected({ context, flags, session }: View): Promise<void> {
  const { limit } = flags;
  const { messages } = await session.call((client, options) => client.listRejected({ limit }, options));
  if (flags.json) await writeJson(context.stdout, { messages: messages.map(rejectedDocument) });
  else await write(context.stdout, rejectedText(messages, context.stdout, context.now()));
}

function refuseContradiction(jobId: string | undefined, flags: JobsFlags): void {
  if (!flags.rejected || (jobId === undefined && flags.state === undefined)) return;
  throw new SolsticeError(
    "usage",
    "--rejected lists messages that never became jobs: do not give JOB or --state with it.",
  );
}

function listText(jobs: readonly Job[], output: Output, now: number): string {
  if (jobs.length === 0) return "No jobs.\n";
  const head = ["ID", "STATE", "LABEL", "SOURCE", "AGE", "TOOK", "VERDICT"];
  const rows = jobs.map((job) => listRow(job, output, now));
  return tableText({ head, rows, flexible: [3, 6], whole: [0] }, output);
}

function listRow(job: Job, output: Output, now: number): string[] {
  const ended = job.finishedMs === 0n ? now : Number(job.finishedMs);
  return [
    job.id,
    paintState(output, job.state, oneLine(job.state)) + (isOnHold(job) ? " (on hold)" : ""),
    oneLine(job.label),
    sourceText(job),
    durationText(now - Number(job.submittedMs)),
    durationText(ended - Number(job.submittedMs)),
    oneLine(job.verdict?.message ?? ""),
  ];
}

function sourceText(job: Job): string {
  return job.repoUrl ? `${repositoryText(job.repoUrl)}@${oneLine(job.commitSha).slice(0, 8)}` : "-";
}

function collectState(state: string, previous: readonly string[] = []): readonly string[] {
  if ((jobStates as readonly string[]).includes(state)) return [...previous, state];
  throw new InvalidArgumentError(`It needs one of ${jobStates.join(", ")}.`);
}

function parseLimit(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= limitMax) return limit;
  throw new InvalidArgumentError(`It needs a whole number from 1 to ${limitMax}.`);
}
