import { randomUUID } from "node:crypto";
import { type Command, InvalidArgumentError } from "commander";
import { duration } from "../config/option-parsers.ts";
import { isSolsticeError, SolsticeError } from "../core/errors.ts";
import { type JobRequest, parseJobRequest } from "../core/job-request.ts";
import type { Job } from "../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "./api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOfJob, exitCodes } from "./exit-codes.ts";
import { jobDocument } from "./job-document.ts";
import { chooseScript, parseEnvironment, type ScriptFlags } from "./job-script.ts";
import { paint, write, writeJson } from "./output.ts";
import { chooseRepository, type RepositoryFlags } from "./repository.ts";
import { oneLine } from "./text.ts";
import { verdictText } from "./verdict-text.ts";
import { waitForJob } from "./wait-for-job.ts";

interface EnqueueFlags extends RepositoryFlags, ScriptFlags {
  readonly runsOn?: string;
  readonly size?: string;
  readonly env?: readonly string[];
  readonly timeout?: number;
  readonly priority?: number;
  readonly requestId?: string;
  readonly wait?: true;
  readonly json?: true;
}

/** `solstice enqueue`: sends a job. */
export const registerEnqueue: RegisterCommand = (program, context) => {
  const command = program
    .command("enqueue")
    .summary("send a job, and wait for it if wanted")
    .description(
      "Sends a job: what to check out, what to run, and where. Inside a git checkout the remote repository and the " +
        "commit are found; the guest gets them from the remote, so push first.",
    );
  addRepositoryOptions(command);
  addJobOptions(command);
  addClientOptions(command)
    .addHelpText("after", examplesText(examples) + waitText)
    .action(async (flags: EnqueueFlags) => {
      await enqueue(flags, { context, session: await openSession(command, context) });
    });
};

function addRepositoryOptions(command: Command): void {
  command
    .optionsGroup("What to check out:")
    .option("--repo <PATH_OR_URL>", "a git checkout, or the URL of a repository", ".")
    .option("--no-repo", "no repository: the job starts in an empty directory")
    .option("--repo-url <URL>", "where the guest gets the repository, instead of the checkout's remote")
    .option("--commit <COMMIT>", "another commit than HEAD (with a URL: the full hash)")
    .option("--ref <REF>", "the branch or tag, such as refs/heads/main");
}

function addJobOptions(command: Command): void {
  command
    .optionsGroup("What to run, and where:")
    .option("--script <TEXT>", "a shell script")
    .option("--script-file <FILE>", "a shell script in a file; - is standard input")
    .option("--step <NAME=COMMAND>", "a named step (repeatable; they run in order until one fails)", collect)
    .option("--env <NAME=VALUE>", "an environment variable of the steps (repeatable)", collect)
    .option("--runs-on <LABEL>", "the image or alias to run on (default: the map's default_label)")
    .option("--size <NAME>", "a size of the map (default: the image's)")
    .option(
      "--timeout <TIME>",
      "how long the steps may run: 30s, 10m, 1h30m (default: the orchestrator's)",
      parseTime,
    )
    .option("--priority <N>", "from -100 to 100; higher is earlier (default: 0)", parsePriority)
    .option(
      "--request-id <UUID>",
      "the same id again is the same job, never a second one (default: a new one)",
    )
    .optionsGroup("Afterwards:")
    .option("--wait", "show the log live, and exit with the job's exit code")
    .optionsGroup("");
}

const examples: readonly (readonly [string, string])[] = [
  [
    "solstice enqueue --script 'make test' --wait",
    "this checkout's commit on the default image, with its log",
  ],
  [
    "solstice enqueue --runs-on ubuntu-22.04 --size large --step 'build=make' --step 'test=make check' --wait",
    "two steps; the failing one is named",
  ],
  [
    "solstice enqueue --no-repo --script-file check.sh --env LEVEL=2",
    "without a repository; prints the job's id",
  ],
  ["solstice enqueue --repo https://example.org/a/b.git --ref v1.2 --script ./ci", "a tag of any repository"],
];

const waitText = `
With --wait the exit code is the failing step's, or 0 when the job succeeded; ${exitCodes.infraError}: infra_error,
${exitCodes.cancelled}: cancelled, ${exitCodes.timedOut}: timed_out, 1: failed without an exit code. A step may exit with these numbers too:
--json tells them apart. Ctrl-C ends the waiting, not the job.
`;

async function enqueue(
  flags: EnqueueFlags,
  { context, session }: { context: CliContext; session: ApiSession },
): Promise<void> {
  const { request, warnings } = await buildRequest(flags, context);
  for (const warning of warnings)
    context.stderr.write(`${paint(context.stderr, "yellow", "Warning:")} ${warning}\n`);
  const { job, existed } = await submit(request, session);
  if (flags.wait) await waitAndTell(job, { context, session, json: flags.json });
  else if (flags.json) await writeJson(context.stdout, { ...jobDocument(job, context.now()), existed });
  else await write(context.stdout, submittedText(job, existed));
}

async function buildRequest(flags: EnqueueFlags, context: CliContext) {
  const script = await chooseScript(flags, context);
  const env = parseEnvironment(flags.env ?? []);
  const { request: repository, warnings } = await chooseRepository(flags);
  const request = parseJobRequest({
    request_id: flags.requestId ?? randomUUID(),
    source: "cli",
    ...repository,
    ...script,
    env,
    ...(flags.runsOn !== undefined && { runs_on: flags.runsOn }),
    ...(flags.size !== undefined && { size: flags.size }),
    ...(flags.timeout !== undefined && { timeout_seconds: flags.timeout }),
    priority: flags.priority ?? 0,
    submitted_at: new Date(context.now()).toISOString(),
  });
  return { request, warnings };
}

async function submit(request: JobRequest, session: ApiSession): Promise<{ job: Job; existed: boolean }> {
  const message = { jobRequestJson: JSON.stringify(request) };
  try {
    const { job, existed } = await session.ask((client, options) => client.submit(message, options));
    if (job) return { job, existed };
  } catch (error) {
    if (!isSolsticeError(error, "unavailable")) throw error;
    // Whether it arrived is not known; the id makes asking again safe.
    const again = `If you try again, add --request-id ${request.request_id}: should this one have arrived, it is the same job.`;
    throw new SolsticeError("unavailable", error.message, {
      remedy: `${error.remedy ?? ""}\n${again}`,
      cause: error,
    });
  }
  throw new SolsticeError("internal", "The API accepted the request but named no job.");
}

function submittedText(job: Job, existed: boolean): string {
  const what = existed ? `was there already: ${oneLine(job.state)}` : `is ${oneLine(job.state)}`;
  return `Job ${job.id} ${what}. See its log with: solstice logs -f ${job.id}\n`;
}

async function waitAndTell(
  job: Job,
  { context, session, json }: { context: CliContext; session: ApiSession; json: boolean | undefined },
): Promise<void> {
  const stopTelling = tellOnSignals(job, context);
  // With --json, stdout is for the one document; people still see the log.
  const logOutput = json ? context.stderr : context.stdout;
  const ended = await waitForJob(job.id, { context, session, logOutput });
  stopTelling();
  const now = context.now();
  if (json) await writeJson(context.stdout, jobDocument(ended, now));
  else await write(context.stdout, verdictText(ended, context.stdout, now));
  context.setExitCode(exitCodeOfJob(ended.state, ended.verdict?.exitCode));
}

/** Ending the waiting does not end the job: whoever presses Ctrl-C is told so, and how to do that. */
function tellOnSignals(job: Job, context: CliContext): () => void {
  const end = (signal: NodeJS.Signals) => {
    context.stderr.write(
      `\nJob ${job.id} goes on. Cancel it with: solstice cancel ${job.id}\nSee its log again with: solstice logs -f ${job.id}\n`,
      () => process.exit(signal === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated),
    );
  };
  process.once("SIGINT", end).once("SIGTERM", end);
  return () => {
    process.off("SIGINT", end).off("SIGTERM", end);
  };
}

function collect(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}

function parseTime(text: string): number {
  const parsed = duration(text);
  if ("value" in parsed) return parsed.value;
  throw new InvalidArgumentError(`It needs ${parsed.expected}.`);
}

function parsePriority(text: string): number {
  if (/^-?\d{1,3}$/.test(text) && Math.abs(Number(text)) <= 100) return Number(text);
  throw new InvalidArgumentError("It needs a whole number from -100 to 100.");
}
