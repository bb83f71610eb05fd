import { randomUUID } from "node:crypto";
import { isSolsticeError, SolsticeError } from "../../../core/errors.ts";
import type { Job } from "../../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../../api/api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand, warn } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import type { Submitted } from "../../follow/submit-response.ts";
import { waitAndReport } from "../../follow/wait-and-report.ts";
import { jobDocument } from "../../print/job-document.ts";
import { write, writeJson } from "../../print/output.ts";
import { oneLine } from "../../print/text.ts";

interface RetryFlags {
  readonly requestId?: string;
  readonly wait?: true;
  readonly json?: true;
}

/** `solstice retry JOB`: runs the request of a job again, as a new job. */
export const registerRetry: RegisterCommand = (program, context) => {
  const command = program
    .command("retry <JOB>")
    .summary("run a job that has ended again, as a new job")
    .description(
      "Creates a new job from the request of a job that has ended: the same commit, steps and label. The new job refers to " +
        "the old job, which is not changed. After a failure of the infrastructure the orchestrator itself starts another attempt.",
    )
    .option(
      "--request-id <UUID>",
      "an id for safe repeats: the same id is the same new job (default: a new id)",
    )
    .option("--wait", "show the log live, and exit with the job's exit code");
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        ["solstice retry 7k3m --wait", "the job whose id begins with 7k3m, once more, with its log"],
        ["solstice jobs 7k3m", "shows the job that it repeats, and the jobs that repeat it"],
      ]),
    )
    .action(async (jobId: string, flags: RetryFlags) => {
      const session = await openSession(command, context);
      await retry(jobId, flags, { context, session });
    });
};

async function retry(
  jobId: string,
  flags: RetryFlags,
  { context, session }: { context: CliContext; session: ApiSession },
): Promise<void> {
  const requestId = flags.requestId ?? randomUUID();
  const { job, existed, warnings } = await send({ jobId, requestId }, session);
  for (const warning of warnings) warn(context, warning);
  if (flags.wait) await waitAndReport(job, { context, session, json: flags.json, existed });
  else if (flags.json)
    await writeJson(context.stdout, { ...jobDocument(job, context.now()), existed, warnings });
  else await write(context.stdout, retriedText(job, existed));
}

async function send(message: { jobId: string; requestId: string }, session: ApiSession): Promise<Submitted> {
  try {
    const { job, existed, warnings } = await session.call((client, options) =>
      client.retry(message, options),
    );
    if (job) return { job, existed, warnings };
  } catch (error) {
    if (!isSolsticeError(error, "unavailable")) throw error;
    const again = `If you try again, add --request-id ${message.requestId}: if this request has arrived, you get the same job, not a second one.`;
    throw new SolsticeError(error.code, error.message, {
      remedy: `${error.remedy ?? ""}\n${again}`,
      cause: error,
    });
  }
  throw new SolsticeError("internal", "The API accepted the request but named no job.");
}

function retriedText(job: Job, existed: boolean): string {
  const what = existed ? `exists already: ${oneLine(job.state)}` : `is ${oneLine(job.state)}`;
  return `Job ${job.id}, which repeats ${oneLine(job.retryOf)}, ${what}. See its log with: solstice logs -f ${job.id}\n`;
}
