import { type Command, InvalidArgumentError } from "commander";
import { loadPublishConfig, type PublishConfig } from "../../../config/load-publish-config.ts";
import { publishOptions } from "../../../config/options/options.ts";
import { isSolsticeError, SolsticeError } from "../../../core/errors.ts";
import type { JobRequest } from "../../../core/request/job-request.ts";
import type { Job } from "../../../gen/solstice/v1/jobs_pb.ts";
import { publishRequest } from "../../../queue/publish/publish-request.ts";
import type { ApiSession } from "../../api/api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand, warn } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import type { Submitted } from "../../follow/submit-response.ts";
import { reportOnSignals, waitAndReport } from "../../follow/wait-and-report.ts";
import { addOptions, flagsGiven, parseTime } from "../../option-flags.ts";
import { exitCodes } from "../../print/exit-codes.ts";
import { jobDocument } from "../../print/job-document.ts";
import { write, writeJson } from "../../print/output.ts";
import { oneLine } from "../../print/text.ts";
import { buildRequest, type RequestFlags } from "../../request/build-request.ts";
import { findPublishedJob } from "../../request/find-published-job.ts";
import type { StepFlag } from "../../request/job-script.ts";

interface EnqueueFlags extends RequestFlags {
  readonly wait?: true;
  readonly json?: true;
}

/** `solstice enqueue`: sends a job. */
export const registerEnqueue: RegisterCommand = (program, context) => {
  const command = program
    .command("enqueue")
    .summary("send a job, and optionally wait for it")
    .description(
      "Sends a job: the commit to check out, the steps to run, and the image. Inside a git checkout, the remote repository and the " +
        "commit are read from it; the guest fetches them from the remote, so push first. A job file (docs/reference/jobs.md) contains a whole " +
        "request; flags have priority over the file. The request goes through RabbitMQ if AMQP_URL or --amqp-url is set, else to the API.",
    );
  addRepositoryOptions(command);
  const repoFlags = new Set<string>();
  for (const name of ["repo", "no-repo"]) command.on(`option:${name}`, () => repoFlags.add(name));
  addJobOptions(command);
  addOptions(addClientOptions(command), publishOptions)
    .addHelpText("after", examplesText(examples) + waitText)
    .action(async (flags: Omit<EnqueueFlags, "isRepoGiven" | "isRepoContradicted">) => {
      const broker = loadPublishConfig(flagsGiven(command), context.env);
      const isRepoGiven = command.getOptionValueSource("repo") === "cli";
      await enqueue(
        { ...flags, isRepoGiven, isRepoContradicted: repoFlags.size === 2 },
        { context, session: await openSession(command, context), broker },
      );
    });
};

function addRepositoryOptions(command: Command): void {
  command
    .optionsGroup("What to check out:")
    .option("--repo <PATH_OR_URL>", "a git checkout, or the URL of a repository", ".")
    .option("--no-repo", "no repository: the job starts in an empty directory")
    .option("--repo-url <URL>", "the URL that the guest fetches from, instead of the checkout's remote")
    .option("--commit <COMMIT>", "a commit instead of HEAD (with a URL: the full hash)")
    .option("--ref <REF>", "the branch or tag, such as refs/heads/main");
}

function addJobOptions(command: Command): void {
  command
    .optionsGroup("What to run, and where:")
    .option("--file <FILE>", "a job file: a whole request as YAML or JSON; - is standard input")
    .option("--script <TEXT>", "a shell script")
    .option("--script-file <FILE>", "a shell script in a file; - is standard input")
    .option(
      "--step <NAME=COMMAND>",
      "a named step (repeatable; they run in order until one fails)",
      collectStep,
    )
    .option("--always-step <NAME=COMMAND>", "a step that runs also after a failure or a cancel", collectStep)
    .option(
      "--step-timeout <TIME>",
      "time limit of each of these steps (default: the job's limit)",
      parseTime,
    )
    .option("--env <NAME=VALUE>", "an environment variable of the steps (repeatable)", collect)
    .option(
      "--secret <NAME>",
      "a secret that the steps need (repeatable); see docs/reference/secrets.md",
      collect,
    )
    .option("--runs-on <LABEL>", "the image or alias to run on (default: the map's default_label)")
    .option("--size <NAME>", "a size of the map (default: the image's)")
    .option(
      "--timeout <TIME>",
      "time limit of the steps: 30s, 10m, 1h30m (default: the orchestrator's)",
      parseTime,
    )
    .option(
      "--hold-on-failure <TIME>",
      "time to keep the guest when the job fails, to enter it with `solstice shell`",
      parseTime,
    )
    .option("--priority <N>", "from -100 to 100; higher is earlier (default: 0)", parsePriority)
    .option(
      "--request-id <UUID>",
      "an id for safe repeats: the same id is the same job, never a second job (default: a new id)",
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
  ["solstice enqueue --file job.yaml --wait", "a whole job file: steps, time limits, environment"],
  ["solstice enqueue --repo https://example.org/a/b.git --ref v1.2 --script ./ci", "a tag of any repository"],
];

const waitText = `
With --wait the exit code is the failing step's, or 0 when the job succeeded; ${exitCodes.infraError}: infra_error,
${exitCodes.cancelled}: cancelled, ${exitCodes.timedOut}: timed_out, 1: failed without an exit code. A step may exit with these numbers too:
--json shows which of them applies. Ctrl-C ends the waiting, not the job.
`;

interface EnqueueContext {
  readonly context: CliContext;
  readonly session: ApiSession;
  /** Null: the request goes to the API. */
  readonly broker: PublishConfig | null;
}

async function enqueue(flags: EnqueueFlags, { context, session, broker }: EnqueueContext): Promise<void> {
  const { request, warnings } = await buildRequest(flags, context);
  for (const warning of warnings) warn(context, warning);
  if (broker) await sendThroughBroker(request, flags, { context, session, broker });
  else await sendToApi(request, flags, { context, session });
}

async function sendToApi(
  request: JobRequest,
  flags: EnqueueFlags,
  { context, session }: Omit<EnqueueContext, "broker">,
): Promise<void> {
  const { job, existed, warnings } = await submit(request, session);
  for (const warning of warnings) warn(context, warning);
  if (flags.wait) await waitAndReport(job, { context, session, json: flags.json, existed });
  else if (flags.json)
    await writeJson(context.stdout, { ...jobDocument(job, context.now()), existed, warnings });
  else await write(context.stdout, submittedText(job, existed));
}

/** Publishes the request, and with `--wait` follows the job through the API by its request id. */
async function sendThroughBroker(
  request: JobRequest,
  flags: EnqueueFlags,
  { context, session, broker }: EnqueueContext & { readonly broker: PublishConfig },
): Promise<void> {
  const id = request.request_id;
  await publish(request, broker);
  if (flags.wait) {
    const stopReporting = reportOnSignals(publishedText(id, broker), context);
    const job = await findPublishedJob(id, { context, session });
    stopReporting();
    await waitAndReport(job, { context, session, json: flags.json });
  } else if (flags.json) {
    const { exchange, routingKey } = broker;
    await writeJson(context.stdout, { request_id: id, published: { exchange, routing_key: routingKey } });
  } else await write(context.stdout, publishedText(id, broker));
}

async function publish(request: JobRequest, broker: PublishConfig): Promise<void> {
  try {
    await publishRequest(broker, request);
  } catch (error) {
    if (!isSolsticeError(error, "broker_unavailable")) throw error;
    throw withRequestId(error, request);
  }
}

function publishedText(requestId: string, { exchange, routingKey }: PublishConfig): string {
  return (
    `Request ${requestId} is in RabbitMQ (exchange ${exchange}, routing key ${routingKey}). ` +
    `See its log, once an orchestrator has taken it, with: solstice logs -f ${requestId}\n`
  );
}

async function submit(request: JobRequest, session: ApiSession): Promise<Submitted> {
  const message = { jobRequestJson: JSON.stringify(request) };
  try {
    const { job, existed, warnings } = await session.call((client, options) =>
      client.submit(message, options),
    );
    if (job) return { job, existed, warnings };
  } catch (error) {
    if (!isSolsticeError(error, "unavailable")) throw error;
    throw withRequestId(error, request);
  }
  throw new SolsticeError("internal", "The API accepted the request but named no job.");
}

/** Adds the request id to the remedy. The request may have arrived; with the same id, sending it again is idempotent. */
function withRequestId(error: SolsticeError, { request_id: id }: JobRequest): SolsticeError {
  const again = `If you try again, add --request-id ${id}: if this request has arrived, you get the same job, not a second one.`;
  return new SolsticeError(error.code, error.message, {
    remedy: `${error.remedy ?? ""}\n${again}`,
    cause: error,
  });
}

function submittedText(job: Job, existed: boolean): string {
  const what = existed ? `exists already: ${oneLine(job.state)}` : `is ${oneLine(job.state)}`;
  return `Job ${job.id} ${what}. See its log with: solstice logs -f ${job.id}\n`;
}

function collect(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}

/** Number of steps given so far. It gives the steps of both kinds one order. */
let stepsGiven = 0;

function collectStep(text: string, previous: readonly StepFlag[] = []): readonly StepFlag[] {
  if (text === "") throw new InvalidArgumentError("It needs NAME=COMMAND, such as 'test=make test'.");
  stepsGiven += 1;
  return [...previous, { place: stepsGiven, text }];
}

function parsePriority(text: string): number {
  if (/^-?\d{1,3}$/.test(text) && Math.abs(Number(text)) <= 100) return Number(text);
  throw new InvalidArgumentError("It needs a whole number from -100 to 100.");
}
