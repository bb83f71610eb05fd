import { isFinal } from "../../core/job/job-state.ts";
import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";
import { type ApiRetryOptions, callWithRetry } from "../api/api-retry.ts";
import type { ApiSession } from "../api/api-session.ts";
import type { CliContext, Output } from "../context.ts";
import { isOnHold } from "../print/hold-text.ts";
import { jobStateOf } from "../print/job-document.ts";
import { paint, paintState } from "../print/output.ts";
import { oneLine } from "../print/text.ts";
import { followLog } from "./follow-log.ts";
import { createStepPrinter, type StepPrinter } from "./step-printer.ts";
import { createWaitReason, type WaitReason } from "./wait-reason.ts";
import { watchJob } from "./watch-job.ts";

/** Options of {@link waitForJob}. */
export interface WaitOptions {
  readonly context: CliContext;
  readonly session: ApiSession;
  /** Receives the log and its headings. */
  readonly logOutput: Output;
}

/**
 * Shows a job's log and its changes of state until the job ends, and returns the ended job. A failed job whose guest is on
 * hold has its verdict, so waiting ends there.
 */
export async function waitForJob(jobId: string, options: WaitOptions): Promise<Job> {
  const stop = new AbortController();
  const apiRetry: ApiRetryOptions = {
    session: options.session,
    signal: stop.signal,
    onLost: (message) => {
      view.reason.end();
      options.context.stderr.write(`${message} Retrying.\n`);
    },
  };
  const view: View = {
    context: options.context,
    printer: createStepPrinter(options.logOutput),
    reason: createWaitReason(jobId, options),
  };
  const { printer } = view;
  try {
    const [ended] = await Promise.all([
      showStates(jobId, apiRetry, view),
      // Both streams detect an outage of the API; only the first reports it.
      showLog(jobId, { session: options.session, signal: stop.signal }, view),
    ]);
    await printer.setSteps(ended.attempt, ended.steps);
    await printer.finish();
    return ended;
  } finally {
    stop.abort();
    view.reason.end();
  }
}

/** The outputs of {@link waitForJob}. */
interface View {
  readonly context: CliContext;
  readonly printer: StepPrinter;
  /** Shown while the job is queued. */
  readonly reason: WaitReason;
}

async function showStates(jobId: string, apiRetry: ApiRetryOptions, view: View): Promise<Job> {
  const { context, printer, reason } = view;
  let shown = "";
  for await (const job of watchJob(jobId, apiRetry)) {
    const line = stateLine(job, context);
    if (line !== shown) reason.end();
    if (line !== shown && !isFinal(jobStateOf(job))) context.stderr.write(`${line}\n`);
    shown = line;
    if (job.state === "queued") reason.begin();
    await printer.setSteps(job.attempt, job.steps);
    if (isFinal(jobStateOf(job)) || isOnHold(job)) return job;
  }
  throw new Error("watchJob ended before the job did");
}

function stateLine(job: Job, { stderr }: CliContext): string {
  const host = job.hostId && job.state === "provisioning" ? ` on ${oneLine(job.hostId)}` : "";
  const attempt = job.attempt > 1 ? ` (attempt ${job.attempt} of ${job.maxAttempts})` : "";
  return paint(stderr, "dim", `Job ${job.id}: `) + paintState(stderr, oneLine(job.state)) + host + attempt;
}

/**
 * Prints the log with its headings. Reads the job's steps before each piece: the runner reports the start of a step before
 * its output, so the job then has every step in the piece. The watch stream may still lack the newest step.
 */
async function showLog(jobId: string, apiRetry: ApiRetryOptions, { printer, reason }: View): Promise<void> {
  let hasEnded = false;
  for await (const piece of followLog({ jobId, stream: "output", attempt: 0, follow: true }, apiRetry)) {
    if (piece.data.length > 0 && !hasEnded) {
      const { job } = await callWithRetry(apiRetry, (client, call) => client.get({ jobId }, call));
      hasEnded = job !== undefined && (isFinal(jobStateOf(job)) || isOnHold(job));
      if (job) await printer.setSteps(job.attempt, job.steps);
    }
    if (piece.data.length > 0) reason.end();
    await printer.print(piece);
  }
}
