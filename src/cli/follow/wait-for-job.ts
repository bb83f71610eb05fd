import { isFinal } from "../../core/job/job-state.ts";
import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";
import { type ApiRetryOptions, askPatiently } from "../api/api-retry.ts";
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

/** What {@link waitForJob} needs besides the job. */
export interface WaitOptions {
  readonly context: CliContext;
  readonly session: ApiSession;
  /** Where the log and its headings go. */
  readonly logOutput: Output;
}

/**
 * Shows a job's log and changes of state until it has ended, and returns it as it ended. One that has failed and whose guest
 * is kept has its verdict, and is not waited for any longer.
 */
export async function waitForJob(jobId: string, options: WaitOptions): Promise<Job> {
  const stop = new AbortController();
  const apiRetry: ApiRetryOptions = {
    session: options.session,
    signal: stop.signal,
    onLost: (message) => {
      view.reason.end();
      options.context.stderr.write(`${message} Waiting for it.\n`);
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
      // Both streams notice a lost API; one of them tells.
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

/** What {@link waitForJob} shows, and where. */
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
 * The log with its headings. Before a piece is written the steps are asked for: the runner tells a step's start before
 * it sends its output, so the answer knows every step the piece may hold, which the watch may not know yet.
 */
async function showLog(jobId: string, apiRetry: ApiRetryOptions, { printer, reason }: View): Promise<void> {
  let hasEnded = false;
  for await (const piece of followLog({ jobId, stream: "output", attempt: 0, follow: true }, apiRetry)) {
    if (piece.data.length > 0 && !hasEnded) {
      const { job } = await askPatiently(apiRetry, (client, call) => client.get({ jobId }, call));
      hasEnded = job !== undefined && (isFinal(jobStateOf(job)) || isOnHold(job));
      if (job) await printer.setSteps(job.attempt, job.steps);
    }
    if (piece.data.length > 0) reason.end();
    await printer.print(piece);
  }
}
