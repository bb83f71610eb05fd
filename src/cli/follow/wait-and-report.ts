import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../api/api-session.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfJob, exitCodes } from "../print/exit-codes.ts";
import { holdText } from "../print/hold-text.ts";
import { jobDocument } from "../print/job-document.ts";
import { write, writeJson } from "../print/output.ts";
import { verdictText } from "../print/verdict-text.ts";
import { waitForJob } from "./wait-for-job.ts";

/** Options of {@link waitAndReport}. */
export interface WaitAndReportOptions {
  readonly context: CliContext;
  readonly session: ApiSession;
  readonly json: boolean | undefined;
  /** True when the request's job existed before the request. */
  readonly existed?: boolean;
}

/** Implements `--wait`: shows a job until it ends, prints the verdict, and sets the exit code of the job. */
export async function waitAndReport(
  job: Job,
  { context, session, json, existed = false }: WaitAndReportOptions,
): Promise<void> {
  if (existed) context.stderr.write(`Job ${job.id} exists already; this is its log.\n`);
  const stopReporting = reportOnSignals(
    `Job ${job.id} continues. Cancel it with: solstice cancel ${job.id}\nSee its log again with: solstice logs -f ${job.id}\n`,
    context,
  );
  // With --json, stdout holds one document; the log goes to stderr.
  const logOutput = json ? context.stderr : context.stdout;
  const ended = await waitForJob(job.id, { context, session, logOutput });
  stopReporting();
  const now = context.now();
  if (json) await writeJson(context.stdout, jobDocument(ended, now));
  else await write(context.stdout, verdictText(ended, context.stdout, now));
  // Also with --json: a person who reads the log can enter the guest only while the hold lasts.
  await write(logOutput, holdText(ended, now));
  // A job whose guest is on hold has the state finalizing, and already its verdict.
  context.setExitCode(exitCodeOfJob(ended.verdict?.state ?? ended.state, ended.verdict?.exitCode));
}

/** Writes `text` to stderr and exits on SIGINT or SIGTERM; the job continues. Returns a function that removes the handlers. */
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
