import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { hashToken } from "../access/bearer.ts";
import { SolsticeError } from "../core/errors.ts";
import { decideHold, type HoldPolicy } from "../core/job/hold.ts";
import { type Job, type Machine, type RunnerFailure, runnerFailures } from "../core/job/job.ts";
import type { Log } from "../core/log.ts";
import {
  type AppendLogRequest,
  type AppendUploadRequest,
  type BeginUploadRequest,
  type FinishRequest,
  type FinishUploadRequest,
  type ReportStepRequest,
  type RestoreCacheRequest,
  type RunnerService,
  type SaveCacheRequest,
  type StartRequest,
  StepPhase,
} from "../gen/solstice/v1/runner_pb.ts";
import { KeyedQueue } from "../http/limits/keyed-queue.ts";
import { recordFinish } from "../store/jobs/machines.ts";
import { startSession } from "../store/jobs/sessions.ts";
import { finishStep, listSteps, startStep } from "../store/jobs/steps.ts";
import { logStatus } from "../store/logs/logs.ts";
import type { Store } from "../store/store.ts";
import { restoreCacheCall, saveCacheCall } from "./caches/cache-calls.ts";
import type { CacheContext } from "./caches/cache-context.ts";
import type { AttemptMask, AttemptMasks } from "./output/attempt-masks.ts";
import { compareLog } from "./output/log-proof.ts";
import { maskWhole } from "./output/masked-stream.ts";
import { appendOutput, receivedOutput, releaseOutput } from "./output/output-log.ts";
import { createHoldCalls, holdSecondsLeft, type ShellOrders } from "./runner-hold.ts";
import {
  authenticate,
  noteSignOfLife,
  presentedHash,
  type RunnerSession,
  refusedGuest,
  stopOf,
} from "./runner-sessions.ts";
import {
  appendUploadCall,
  beginUploadCall,
  byteCount,
  finishUploadCall,
} from "./transfers/transfer-calls.ts";
import type { Transfers } from "./transfers/transfers.ts";

/** The dependencies of the handlers of {@link createRunnerService}. */
export interface RunnerServiceContext {
  readonly store: Store;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * The plan for a runner: a POSIX shell fragment that only assigns variables. It may hold secrets; `masked`
   * are the values to mask from now on.
   */
  readonly buildPlan: (job: Job) => { readonly plan: string; readonly masked: readonly string[] };
  /** The values masked in the logs of running attempts. */
  readonly masks: AttemptMasks;
  /** Maximum stored log of one attempt, in bytes. */
  readonly logLimitBytes: number;
  /** Heartbeat interval of a runner, in seconds. */
  readonly heartbeatSeconds: number;
  /** File transfers between guests and this host. */
  readonly transfers: Transfers;
  readonly caches: CacheContext;
  readonly holdPolicy: HoldPolicy;
  /** The requested shells in guests on hold. */
  readonly shells: ShellOrders;
}

/** Limits of a guest's calls. */
export const runnerLimits = {
  appendBytes: 1024 * 1024,
  sessionTokenCharsMin: 32,
  sessionTokenCharsMax: 500,
  runnerVersionCharsMax: 100,
  /** Of the failure detail in Finish; a longer detail is cut. */
  detailBytes: 1000,
  callsPerMachine: 4,
  callsTotal: 128,
} as const;

/** A call of a runner whose token was accepted. */
interface RunnerCall extends RunnerSession {
  readonly context: RunnerServiceContext;
}

/**
 * The service that guests call. It records facts, and the store wakes the loops that decide; no verdict is
 * made here.
 *
 * The calls of one machine run one after the other, so that the checks of a call (has the job finished? where
 * does the log end?) are still valid when it writes.
 */
export function createRunnerService(context: RunnerServiceContext): ServiceImpl<typeof RunnerService> {
  const queue = new KeyedQueue({ perKey: runnerLimits.callsPerMachine, total: runnerLimits.callsTotal });
  const asRunner = <T>(tokenHash: string, work: (call: RunnerCall) => Promise<T>): Promise<T> =>
    queue.run(tokenHash, async () => {
      const session = await authenticate(context.store, tokenHash);
      await noteSignOfLife(context.store, session.machine, context.now());
      return work({ ...session, context });
    });
  const hold = createHoldCalls(context);
  return {
    async start(request, call) {
      const bootstrapTokenHash = presentedHash(call);
      return await queue.run(bootstrapTokenHash, () => start(context, request, bootstrapTokenHash));
    },
    appendLog: (request, call) => asRunner(presentedHash(call), (runner) => append(runner, request)),
    reportStep: (request, call) => asRunner(presentedHash(call), (runner) => report(runner, request)),
    finish: (request, call) => asRunner(presentedHash(call), (runner) => finish(runner, request)),
    ...transferHandlers(context),
    // Not queued: this call waits.
    hold: (request, call) => hold(request, { tokenHash: presentedHash(call), signal: call.signal }),
  };
}

/** Not queued behind a machine's other calls: slow uploads must not delay the log. */
function transferHandlers(context: RunnerServiceContext) {
  const { store, now, transfers } = context;
  const sessionOf = async (call: HandlerContext) => {
    const session = await authenticate(store, presentedHash(call));
    await noteSignOfLife(store, session.machine, now());
    return session;
  };
  return {
    beginUpload: async (request: BeginUploadRequest, call: HandlerContext) =>
      beginUploadCall(transfers, await sessionOf(call), request),
    appendUpload: async (request: AppendUploadRequest, call: HandlerContext) =>
      appendUploadCall(transfers, await sessionOf(call), request),
    finishUpload: async (request: FinishUploadRequest, call: HandlerContext) =>
      finishUploadCall(transfers, await sessionOf(call), request),
    restoreCache: async (request: RestoreCacheRequest, call: HandlerContext) =>
      restoreCacheCall(context, await sessionOf(call), request),
    saveCache: async (request: SaveCacheRequest, call: HandlerContext) =>
      saveCacheCall(context, await sessionOf(call), request),
  };
}

async function start(context: RunnerServiceContext, request: StartRequest, bootstrapTokenHash: string) {
  const { store } = context;
  const at = context.now();
  const sessionTokenHash = hashToken(checkSessionToken(request.sessionToken));
  checkRunnerVersion(request.runnerVersion);
  let plan = Buffer.alloc(0);
  // The plan is built first: a job whose plan cannot be built must not become running.
  const accept = (job: Job) => {
    const built = context.buildPlan(job);
    context.masks.give(job, built.masked);
    plan = Buffer.from(built.plan);
  };
  const session = await startSession(store, { bootstrapTokenHash, sessionTokenHash, at, accept });
  if (session === null) throw refusedGuest();
  const { jobId, attempt } = session.machine;
  context.log.info({ jobId, attempt, runnerVersion: request.runnerVersion }, "runner started");
  return { plan, heartbeatSeconds: context.heartbeatSeconds };
}

function checkSessionToken(token: string): string {
  const { sessionTokenCharsMin: min, sessionTokenCharsMax: max } = runnerLimits;
  if (token.length >= min && token.length <= max && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new SolsticeError(
    "usage",
    `session_token must be ${min} to ${max} printable characters without spaces.`,
  );
}

function checkRunnerVersion(version: string): void {
  const max = runnerLimits.runnerVersionCharsMax;
  if (version.length <= max) return;
  throw new SolsticeError("usage", `runner_version must be at most ${max} characters.`);
}

async function append(runner: RunnerCall, request: AppendLogRequest) {
  const { data } = request;
  if (data.length > runnerLimits.appendBytes) {
    throw new SolsticeError("limit_exceeded", `At most ${runnerLimits.appendBytes} bytes per call.`);
  }
  const stop = stopOf(runner.job);
  if (data.length === 0) return { received: BigInt(await received(runner)), ...stop };
  refuseFinished(runner);
  const offset = byteCount(request.offset, "offset");
  return { received: BigInt(await appendOutput(runner.context, runner.job, { offset, data })), ...stop };
}

/** After Finish no bytes are held back, and no masking state is kept. */
async function received({ context, machine, job }: RunnerCall): Promise<number> {
  if (machine.runnerFinishedAt === null) return receivedOutput(context, job);
  return (await logStatus(context.store, outputOf(machine))).received;
}

async function report(runner: RunnerCall, request: ReportStepRequest) {
  const { store, now } = runner.context;
  const { jobId, attempt } = runner.machine;
  const { index } = request;
  refuseFinished(runner);
  if (!(await listSteps(store, { jobId, attempt })).some((step) => step.index === index)) {
    throw new SolsticeError("usage", `The plan has no step ${index}.`);
  }
  const step = { jobId, attempt, index, at: now(), logOffset: byteCount(request.logOffset, "log_offset") };
  if (request.phase === StepPhase.STARTED) await startStep(store, step);
  else if (request.phase === StepPhase.FINISHED) {
    await finishStep(store, { ...step, exitCode: request.exitCode });
  } else throw new SolsticeError("usage", "phase must be STARTED or FINISHED.");
  return stopOf(runner.job);
}

async function finish(runner: RunnerCall, request: FinishRequest) {
  const { machine, context, job } = runner;
  const mask = context.masks.of(job);
  const reported = parseFinish(request, mask);
  if (machine.runnerFinishedAt !== null) {
    if (isSameEnd(machine, reported)) return { holdSeconds: holdSecondsLeft(runner, context.now()) };
    throw alreadyFinished("The runner already called Finish with other values, which are kept.");
  }
  const received = await receivedOutput(context, job);
  if (received < reported.logLength && !request.logLost) {
    const progress = `received=${received} of ${reported.logLength} bytes`;
    throw new SolsticeError("conflict", `The log is incomplete: ${progress}.`, {
      remedy: `Append from offset ${received}, then call Finish again.`,
    });
  }
  await releaseOutput(context, job, mask);
  const output = await logStatus(context.store, outputOf(machine));
  const { jobId, attempt, hostId } = machine;
  const { word } = compareLog(output, reported);
  if (word === "differs" || word === "gap") {
    // A retry cannot correct this. The numbers of both sides are recorded, and shown with the log.
    context.log.warn({ jobId, attempt, output, reported }, "log differs from the guest's length or digest");
  }
  // The end was not recorded before, and the calls of one machine run one after the other: so the attempt has
  // ended.
  let holdSeconds = 0;
  const decide = (onHold: number) => {
    const answer = decideHold({ job, machine, end: reported }, { ...context.holdPolicy, onHold });
    holdSeconds = answer.kind === "granted" ? answer.seconds : 0;
    return answer;
  };
  const hold = job.request.hold_on_failure_seconds === undefined ? {} : { hold: { hostId, decide } };
  if (!(await recordFinish(context.store, { jobId, attempt, at: context.now(), ...reported, ...hold })))
    throw refusedGuest();
  return { holdSeconds };
}

function isSameEnd(machine: Machine, reported: ReturnType<typeof parseFinish>): boolean {
  return (
    machine.runnerExitCode === reported.exitCode &&
    machine.runnerFailure === reported.failure &&
    machine.logLength === reported.logLength &&
    machine.logSha256 === reported.logSha256
  );
}

function parseFinish(request: FinishRequest, mask: AttemptMask | null) {
  const logSha256 = request.logSha256.toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(logSha256)) {
    throw new SolsticeError("usage", "log_sha256 must be 64 hexadecimal digits.");
  }
  const logLength = byteCount(request.logLength, "log_length");
  return {
    exitCode: request.exitCode,
    failure: parseFailure(request.failure),
    failureDetail: parseDetail(request.failureDetail, mask),
    logLength,
    logSha256,
  };
}

/**
 * Makes a guest's sentence safe as a part of our own: one line, limited in length, without secrets and without
 * control characters that change the text after it.
 */
function parseDetail(bytes: Uint8Array, mask: AttemptMask | null): string | null {
  const masked = maskWhole(mask?.search ?? null, bytes.subarray(0, runnerLimits.detailBytes));
  const text = new TextDecoder().decode(masked);
  const line = text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();
  return line === "" ? null : line;
}

function parseFailure(text: string): RunnerFailure | null {
  if (text === "") return null;
  const failure = runnerFailures.find((candidate) => candidate === text);
  if (failure !== undefined) return failure;
  throw new SolsticeError("usage", `failure must be empty or one of ${runnerFailures.join(", ")}.`);
}

function outputOf({ jobId, attempt }: Machine) {
  return { jobId, attempt, stream: "output" as const };
}

function refuseFinished({ machine }: RunnerCall): void {
  if (machine.runnerFinishedAt === null) return;
  throw alreadyFinished("The runner already called Finish; this attempt accepts no more data.");
}

function alreadyFinished(text: string): SolsticeError {
  return new SolsticeError("conflict", text, { remedy: "Stop the runner: its attempt has ended." });
}
