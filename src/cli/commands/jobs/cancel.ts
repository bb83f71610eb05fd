import { isFinal } from "../../../core/job/job-state.ts";
import type { Job } from "../../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../../api/api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { jobDocument, jobStateOf } from "../../print/job-document.ts";
import { paintState, write, writeJson } from "../../print/output.ts";
import { reportError } from "../../print/report-error.ts";

/** `solstice cancel JOB...`: cancels jobs. */
export const registerCancel: RegisterCommand = (program, context) => {
  const command = program
    .command("cancel <JOB...>")
    .summary("cancel jobs")
    .description(
      "Cancels jobs: a waiting job ends at once; the guest of a running job is stopped and removed. A job that has " +
        "ended is not changed. Steps that always run are run first; --now skips them, and stops one that runs. Exits 1 when a job was not found; the others are still cancelled.",
    )
    .option("--now", "do not wait for the steps that always run");
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        ["solstice cancel 7k3m", "the job whose id begins with 7k3m"],
        [
          "solstice jobs --state queued --json | jq -r '.jobs[].id' | xargs solstice cancel",
          "all waiting jobs",
        ],
      ]),
    )
    .action(async (jobIds: string[], flags: { json?: true; now?: true }) => {
      const session = await openSession(command, context);
      const { json = false, now = false } = flags;
      const jobs = await cancelAll(jobIds, { context, session, json, now });
      if (flags.json)
        await writeJson(context.stdout, { jobs: jobs.map((job) => jobDocument(job, context.now())) });
      else for (const job of jobs) await write(context.stdout, cancelText(job, context));
    });
};

async function cancelAll(
  jobIds: readonly string[],
  { context, session, json, now }: { context: CliContext; session: ApiSession; json: boolean; now: boolean },
): Promise<Job[]> {
  const jobs: Job[] = [];
  for (const jobId of jobIds) {
    try {
      const { job } = await session.call((client, options) => client.cancel({ jobId, now }, options));
      if (job) jobs.push(job);
    } catch (error) {
      context.setExitCode(reportError(context, error, { json }));
    }
  }
  return jobs;
}

function cancelText(job: Job, { stdout }: CliContext): string {
  const state = paintState(stdout, job.state);
  if (job.state === "cancelled") return `Job ${job.id} is ${state}.\n`;
  if (isFinal(jobStateOf(job))) return `Job ${job.id} has already ended: ${state}.\n`;
  return `Job ${job.id} is ${state}; it is being stopped. Follow it with: solstice logs -f ${job.id}\n`;
}
