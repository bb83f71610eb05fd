import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../api/api-session.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfJob, exitCodes } from "../print/exit-codes.ts";
import { holdText } from "../print/hold-text.ts";
import { jobDocument } from "../print/job-document.ts";
import { write, writeJson } from "../print/output.ts";
import { verdictText } from "../print/verdict-text.ts";
import { waitForJob } from "./wait-for-job.ts";

/** What {@link waitAndReport} needs besides the job. */
export interface WaitAndReportOptions {
  readonly context: CliContext;
  readonly session: ApiSession;
  readonly json: boolean | undefined;
  /** Whether the request was that of a job which was there before. */
  readonly existed?: boolean;
}

/** Shows a job until it has ended, tells its verdict, and has the process exit as the job did: `--wait` of any command. */
export async function waitAndReport(
  job: Job,
  { context, session, json, existed = false }: WaitAndReportOptions,
): Promise<void> {
  if (existed) context.stderr.write(`Job ${job.id} was there already; this is its log.\n`);
  const stopReporting = reportOnSignals(
    `Job ${job.id} goes on. Cancel it with: solstice cancel ${job.id}\nSee its log again with: solstice logs -f ${job.id}\n`,
    context,
  );
  // With --json, stdout is for the one document; people still see the log.
  const logOutput = json ? context.stderr : context.stdout;
  const ended = await waitForJob(job.id, { context, session, logOutput });
  stopReporting();
  const now = context.now();
  if (json) await writeJson(context.stdout, jobDocument(ended, now));
  else await write(context.stdout, verdictText(ended, context.stdout, now));
  // With --json too: who reads along can enter the guest only while it is there.
  await write(logOutput, holdText(ended, now));
  // A job on hold still has the state finalizing; how it ended is known.
  context.setExitCode(exitCodeOfJob(ended.verdict?.state ?? ended.state, ended.verdict?.exitCode));
}

/**
 * Ending the waiting does not end the job: whoever presses Ctrl-C is told so, and how to go on. Returns what ends this.
 */
export function reportOnSignals(text: string, context: CliContext): () => void {
  const end = (signal: NodeJS.Signals) => {
    context.stderr.write(`\n${text}`, () =>
      process.exit(signal === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated),
    );
  };
  process.once("SIGINT", end).once("SIGTERM", end);
  return () => {
    process.off("SIGINT", end).off("SIGTERM", end);
  };
}
