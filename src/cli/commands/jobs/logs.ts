import { InvalidArgumentError, Option } from "commander";
import type { ApiSession } from "../../api/api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { followLog, type LogPiece, type LogPlace, skippedText } from "../../follow/follow-log.ts";
import { type LogLineDocument, LogLines } from "../../follow/log-lines.ts";
import { createWaitReason, type WaitReason } from "../../follow/wait-reason.ts";
import { guestOutput, jsonText, write } from "../../print/output.ts";
import { completenessText, isWhole } from "../../print/verdict-text.ts";

interface LogsFlags {
  readonly follow?: true;
  readonly console?: true;
  readonly attempt?: number;
  readonly step?: string;
  readonly json?: true;
}

/** `solstice logs JOB`: prints the output of the steps, or the guest's console, byte for byte. */
export const registerLogs: RegisterCommand = (program, context) => {
  const command = program
    .command("logs <JOB>")
    .summary("print a job's log")
    .description(
      "Prints the output of a job's steps, byte for byte. With --follow the command continues until the job has ended (over all its " +
        "attempts), also while the orchestrator restarts. On a terminal, control sequences are removed, except colours. With --json each line is one JSON document, also with --follow. JOB is the job's id or the beginning of it.",
    )
    .option("-f, --follow", "continue while the job runs")
    .option("--console", "the guest's serial console instead of the steps' output")
    .addOption(
      new Option(
        "--step <NAME>",
        "only the output of this step: its name, or its index from 0 (if several have the name)",
      ).conflicts("console"),
    )
    .option("--attempt <N>", "the log of this attempt (default: the latest)", parseAttempt);
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        ["solstice logs 7k3m", "everything so far"],
        ["solstice logs -f 7k3m | tee build.log", "live, until the job has ended"],
        ["solstice logs --step test 7k3m", "the output of one step"],
        ["solstice logs --json 7k3m | jq -r .text", "for programs: a document for each line"],
        ["solstice logs --console --attempt 1 7k3m", "why the first attempt's machine did not boot"],
      ]),
    )
    .action(async (jobId: string, flags: LogsFlags) => {
      await printLog(jobId, flags, { context, session: await openSession(command, context) });
    });
};

interface LogsContext {
  readonly context: CliContext;
  readonly session: ApiSession;
}

async function printLog(jobId: string, flags: LogsFlags, { context, session }: LogsContext): Promise<void> {
  const place = {
    jobId,
    stream: flags.console ? ("console" as const) : ("output" as const),
    attempt: flags.attempt ?? 0,
    follow: flags.follow ?? false,
    ...(flags.step !== undefined && { step: flags.step }),
  };
  // The first call has no retry, so that a wrong address is an error at once, not after two minutes.
  const { job } = await session.call((client, options) => client.get({ jobId }, options));
  const reason = createWaitReason(job?.id ?? jobId, { context, session });
  const printer = flags.json ? documentPrinter(context) : bytePrinter(context);
  let attempt = 0;
  try {
    attempt = await printPieces(place, { context, session, reason, printer });
  } finally {
    reason.end();
  }
  if (place.stream === "output") await reportCompleteness({ jobId, attempt }, { context, session });
}

/** Returns the attempt whose log was printed last. */
async function printPieces(
  place: LogPlace,
  {
    context,
    session,
    reason,
    printer,
  }: LogsContext & { readonly reason: WaitReason; readonly printer: LogPrinter },
): Promise<number> {
  const onLost = (message: string) => {
    reason.end();
    context.stderr.write(`${message} Retrying.\n`);
  };
  let attempt = 0;
  for await (const piece of followLog(place, { session, onLost })) {
    reason.end();
    attempt = piece.attempt;
    await printer.add(piece);
    // The log has no byte yet: its job may wait.
    if (place.follow && piece.data.length === 0) reason.begin();
  }
  await printer.end();
  return attempt;
}

/** Prints the pieces of a log, in order. */
interface LogPrinter {
  add(piece: LogPiece): Promise<void>;
  end(): Promise<void>;
}

function bytePrinter({ stdout, stderr }: CliContext): LogPrinter {
  const output = guestOutput(stdout);
  let attempt = 0;
  return {
    async add(piece) {
      if (attempt > 0 && piece.attempt !== attempt) stderr.write(`==> attempt ${piece.attempt}\n`);
      attempt = piece.attempt;
      if (piece.skipped > 0) {
        await output.end();
        await write(stdout, skippedText(piece));
      }
      if (piece.data.length > 0) await output.write(piece.data);
    },
    end: () => output.end(),
  };
}

function documentPrinter({ stdout }: CliContext): LogPrinter {
  const lines = new LogLines();
  const print = async (documents: Iterable<LogLineDocument>) => {
    for (const document of documents) await write(stdout, `${jsonText(document)}\n`);
  };
  return { add: (piece) => print(lines.add(piece)), end: () => print(lines.end()) };
}

/** Reports on stderr that a printed log is incomplete. The API has this fact for the latest attempt only. */
async function reportCompleteness(
  printed: { jobId: string; attempt: number },
  { context, session }: LogsContext,
): Promise<void> {
  const { job } = await session.call((client, options) => client.get({ jobId: printed.jobId }, options));
  if (!job?.log || job.attempt !== printed.attempt || isWhole(job.log)) return;
  context.stderr.write(`The log is ${completenessText(job.log)}.\n`);
}

function parseAttempt(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It needs a whole number from 1.");
}
