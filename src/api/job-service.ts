import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { CacheContext } from "../attempts/caches/cache-context.ts";
import { deleteCache, listCache } from "../attempts/caches/cache-listing.ts";
import { SolsticeError } from "../core/errors.ts";
import type { AcceptedJob } from "../core/job/accepted-job.ts";
import type { Job, LogStream } from "../core/job/job.ts";
import { type JobState, jobStates } from "../core/job/job-state.ts";
import { jsonProblem, requestJsonBounds } from "../core/text/json-bounds.ts";
import type {
  CapacityResponseSchema,
  DescribeHostResponseSchema,
  DrainResponseSchema,
  ExplainResponseSchema,
  FindLeaksResponseSchema,
  Job as JobMessage,
  JobService,
  ListRequest,
  LogsRequest,
} from "../gen/solstice/v1/jobs_pb.ts";
import { StreamSlots } from "../http/limits/stream-slots.ts";
import { releaseHold } from "../store/jobs/holds.ts";
import { listJobs, requestCancel } from "../store/jobs/jobs.ts";
import type { Store } from "../store/store.ts";
import { type ArtifactSource, listArtifacts } from "./artifacts.ts";
import { readJobLog } from "./job-logs.ts";
import { lookUpJob } from "./job-lookup.ts";
import { type ShellContext, serveShell } from "./job-shell.ts";
import { describeJob, summarizeJobs } from "./job-view.ts";
import { watchJob } from "./job-watch.ts";
import { listRejected } from "./rejected-messages.ts";

/** The dependencies of the handlers of {@link createJobService}. */
export interface JobServiceContext extends ShellContext {
  /** Validates a JobRequest document and stores the job. The broker's consumer uses the same function. */
  readonly accept: (input: unknown) => Promise<AcceptedJob>;
  /** Makes a new job from the request of an ended job, under the new request id. */
  readonly retry: (job: Job, requestId: string) => Promise<AcceptedJob>;
  /** The limits, the running jobs, and the waiting jobs. */
  readonly capacity: () => Promise<MessageInitShape<typeof CapacityResponseSchema>>;
  /** The artifacts that this host can serve. */
  readonly artifacts: ArtifactSource;
  /** The configuration of this host; with `images`, also the state of each image on its disk. */
  readonly describeHost: (options: {
    images: boolean;
  }) => Promise<MessageInitShape<typeof DescribeHostResponseSchema>>;
  /** The reason why a job waits. */
  readonly explain: (job: Job) => Promise<MessageInitShape<typeof ExplainResponseSchema>>;
  /** Stops or resumes the start of jobs on this host, and returns the jobs that still run there. */
  readonly drain: (action: DrainAction) => Promise<MessageInitShape<typeof DrainResponseSchema>>;
  /** Compares this host with the store; with `fix`, repairs the differences that are safe to repair. */
  readonly findLeaks: (options: {
    fix: boolean;
  }) => Promise<MessageInitShape<typeof FindLeaksResponseSchema>>;
  /** The cache of the called host. */
  readonly caches: Pick<CacheContext, "remove">;
}

/** The action of Drain; `inspect` changes nothing. */
export type DrainAction = "start" | "end" | "inspect";

/** Limits of the user API. */
export const jobLimits = {
  /** Size of the largest valid request (scripts, environment), with room for JSON's escapes. */
  requestJsonBytes: 1024 * 1024,
  listDefault: 50,
  listMax: 1000,
  /** Maximum number of states in the filter of List; fewer states exist. */
  listStates: 100,
  openStreams: 200,
  openShells: 64,
} as const;

/** The service that people and programs call. */
export function createJobService(context: JobServiceContext): ServiceImpl<typeof JobService> {
  const { store, now } = context;
  const slots = new StreamSlots(jobLimits.openStreams);
  const shellSlots = new StreamSlots(jobLimits.openShells);
  return {
    async submit({ jobRequestJson }) {
      const accepted = await context.accept(parseRequestJson(jobRequestJson));
      return describeAccepted(context, accepted);
    },
    async get({ jobId }) {
      return { job: await mustDescribe(store, (await lookUpJob(store, jobId)).id, now()) };
    },
    async list(request) {
      return { jobs: await summarizeJobs(store, await listJobs(store, parseListRequest(request)), now()) };
    },
    async *watch({ jobId }, { signal }) {
      using _slot = slots.take();
      const { id } = await lookUpJob(store, jobId);
      for await (const job of watchJob(store, { jobId: id, signal, now })) yield { job };
    },
    async *logs(request, { signal }) {
      using _slot = slots.take();
      const job = await lookUpJob(store, request.jobId);
      for await (const { offset, skipped, ...piece } of readJobLog(store, {
        job,
        signal,
        ...parseLogsRequest(request),
      })) {
        yield { ...piece, offset: BigInt(offset), skippedBytes: BigInt(skipped) };
      }
    },
    async cancel({ jobId, now: isNow }) {
      const { id } = await lookUpJob(store, jobId);
      await requestCancel(store, { jobId: id, at: now(), now: isNow });
      return { job: await mustDescribe(store, id, now()) };
    },
    async *shell(requests, { signal }) {
      using _slot = shellSlots.take();
      yield* serveShell(context, requests, signal);
    },
    async release({ jobId }) {
      const { id, attempt } = await lookUpJob(store, jobId);
      if (!(await releaseHold(store, { jobId: id, attempt, at: now() }))) throw notOnHold(id);
      return { job: await mustDescribe(store, id, now()) };
    },
    async retry({ jobId, requestId }) {
      const accepted = await context.retry(await lookUpJob(store, jobId), requestId);
      return describeAccepted(context, accepted);
    },
    capacity: () => context.capacity(),
    describeHost: ({ images }) => context.describeHost({ images }),
    explain: async ({ jobId }) => context.explain(await lookUpJob(store, jobId)),
    drain: ({ action }) => context.drain(parseDrainAction(action)),
    listArtifacts: async ({ jobId, attempt }) =>
      listArtifacts(context, { job: await lookUpJob(store, jobId), attempt }),
    listRejected: (request) => listRejected(store, request),
    findLeaks: ({ fix }) => context.findLeaks({ fix }),
    listCache: (request) => listCache(store, request),
    deleteCache: (request) => deleteCache(context, request),
  };
}

function parseDrainAction(action: string): DrainAction {
  if (action === "") return "inspect";
  if (action === "start" || action === "end") return action;
  throw new SolsticeError("usage", "The action of Drain is unknown: use start, end, or nothing.");
}

function notOnHold(jobId: string): SolsticeError {
  return new SolsticeError("conflict", `The guest of job ${jobId} is not on hold.`, {
    remedy: "No release is needed; `solstice jobs JOB` shows the job.",
  });
}

async function describeAccepted(
  { store, now }: JobServiceContext,
  { job, existed, warnings = [] }: AcceptedJob,
) {
  return { job: await mustDescribe(store, job.id, now()), existed, warnings: [...warnings] };
}

async function mustDescribe(store: Store, jobId: string, now: number): Promise<JobMessage> {
  const job = await describeJob(store, jobId, now);
  if (job === null) throw new SolsticeError("not_found", `Job ${jobId} no longer exists.`);
  return job;
}

function parseRequestJson(text: string): unknown {
  if (Buffer.byteLength(text) > jobLimits.requestJsonBytes) {
    throw new SolsticeError(
      "limit_exceeded",
      `A job request has at most ${jobLimits.requestJsonBytes} bytes.`,
    );
  }
  const problem = jsonProblem(Buffer.from(text), requestJsonBounds);
  if (problem !== null) throw new SolsticeError("usage", `job_request_json cannot be read: it ${problem}.`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SolsticeError("usage", `job_request_json is not JSON: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

function parseListRequest(request: ListRequest) {
  const states = [...new Set(request.states.slice(0, jobLimits.listStates))].map(parseState);
  const limit = request.limit || jobLimits.listDefault;
  if (limit > jobLimits.listMax) {
    throw new SolsticeError("limit_exceeded", `At most ${jobLimits.listMax} jobs are listed per call.`, {
      remedy: "For the next page, set before_job_id to the last listed job.",
    });
  }
  return {
    limit,
    ...(states.length > 0 && { states }),
    ...(request.beforeJobId !== "" && { beforeJobId: request.beforeJobId }),
  };
}

function parseState(text: string): JobState {
  const state = jobStates.find((candidate) => candidate === text);
  if (state) return state;
  throw new SolsticeError("usage", `"${text}" is not a job state; use one of ${jobStates.join(", ")}.`);
}

function parseLogsRequest(request: LogsRequest) {
  if (request.offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new SolsticeError("usage", "offset is beyond the end of any log.");
  }
  return {
    stream: parseStream(request.stream),
    attempt: request.attempt,
    offset: Number(request.offset),
    follow: request.follow,
    step: parseStep(request),
  };
}

function parseStep({ step, stream }: LogsRequest): string | null {
  if (step === "") return null;
  if (stream !== "console") return step;
  throw new SolsticeError("usage", "The console has no steps: use step only with the output.");
}

function parseStream(text: string): LogStream {
  if (text === "") return "output";
  if (text === "output" || text === "console") return text;
  throw new SolsticeError("usage", `"${text}" is not a log: use output or console.`);
}
