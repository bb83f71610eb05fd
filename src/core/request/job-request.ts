import { z } from "zod";
import { type CacheRequest, cacheKeys, cacheSchema } from "../cache/request.ts";
import { SolsticeError } from "../errors.ts";
import { type MessageKeys, presentFields, unknownPlaces } from "../text/absent-fields.ts";
import { parseRepositoryUrl } from "../text/repository-url.ts";
import { artifactKeys, artifactsSchema } from "./artifacts.ts";
import { longestHoldSeconds } from "./hold-limits.ts";
import { inUnixForm } from "./script-form.ts";

/** Limits of a request: all input is bounded here. */
export const requestLimits = {
  steps: 500,
  stepNameChars: 200,
  scriptBytes: 256 * 1024,
  totalScriptBytes: 256 * 1024,
  envEntries: 500,
  envValueBytes: 32 * 1024,
  totalEnvBytes: 64 * 1024,
  /** The whole request as JSON: each read of a job includes it. */
  totalBytes: 512 * 1024,
  urlChars: 2048,
  /** A hostile request can have very many problems. */
  problemsShown: 50,
  /** Characters of a problem's place. */
  placeChars: 250,
  timeoutSecondsMax: 7 * 24 * 3600,
} as const;

const envName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,199}$/, "must be a name like CARGO_HOME");
const noNul = (text: string) => !text.includes("\0");
const atMostBytes = (limit: number) =>
  z.string().refine((text) => Buffer.byteLength(text) <= limit, `must be at most ${limit} bytes`);
const script = z
  .string()
  .overwrite(inUnixForm)
  .refine(
    (text) => Buffer.byteLength(text) <= requestLimits.scriptBytes,
    `must be at most ${requestLimits.scriptBytes} bytes`,
  )
  .min(1)
  .refine(noNul, "must not contain a NUL character");

/** The error for a text of another form; other types get the error about the needed type. */
const inForm = (what: string) => (issue: z.core.$ZodRawIssue) =>
  issue.code === "invalid_format" ? `must be ${what}` : undefined;

/** Names and texts. The number of entries is checked before each entry: a hostile message has a million wrong ones. */
const environment = z
  .custom<Record<string, unknown>>(
    (value) => typeof value !== "object" || Object.keys(value ?? {}).length <= requestLimits.envEntries,
    `at most ${requestLimits.envEntries} entries, ${requestLimits.totalEnvBytes} bytes`,
  )
  .pipe(
    z.record(
      envName,
      atMostBytes(requestLimits.envValueBytes).refine(noNul, "must not contain a NUL character"),
    ),
  );

/** Rejects a leading dash, which git would read as an option, and `ext::` and the like. */
const repositoryUrl = z
  .string()
  .max(requestLimits.urlChars)
  .refine(
    (text) => parseRepositoryUrl(text) !== null,
    "must be a http, https, ssh or git URL, or git@host:path",
  );

const stepSchema = z.object({
  name: z
    .string()
    .min(1)
    .max(requestLimits.stepNameChars)
    .refine((name) => !/\p{Cc}/u.test(name), "must be one line"),
  run: script,
  /** True when it also runs after another step failed, and after the job was cancelled or timed out. */
  always: z.boolean().optional(),
  timeout_seconds: z.int().min(1).max(requestLimits.timeoutSecondsMax).optional(),
});

/** A named script of a request. */
export type RequestStep = z.output<typeof stepSchema>;

/**
 * The message `jobrequest.v1`, sent by a producer. Unknown keys are dropped, so that producers may be newer; the caller
 * logs their names with {@link unknownRequestKeys}.
 */
export const jobRequestSchema = z
  .object({
    schema_version: z.literal("jobrequest.v1").default("jobrequest.v1"),
    // Lower case: the id identifies repetitions of the same job, so two spellings must be equal. UUIDs of any version:
    // some programs make them from hashes.
    request_id: z
      .guid({ error: inForm("a UUID such as 0198a4c2-7a51-7c3e-8a11-3c1f2f8f0a01") })
      .toLowerCase(),
    source: z.string().max(200).refine(noNul, "must not contain a NUL character").default("unknown"),
    repo_url: repositoryUrl.optional(),
    repo_owner: z.string().max(200).optional(),
    repo_name: z.string().max(200).optional(),
    commit_sha: z
      .string()
      .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/, "must be a full commit hash")
      .optional(),
    ref: z
      .string()
      .max(500)
      .regex(/^[^-\s~^:?*[\\\p{Cc}][^\s~^:?*[\\\p{Cc}]*$/u, "must be a git ref")
      .optional(),
    runs_on: z.string().min(1).max(200).optional(),
    size: z.string().min(1).max(100).optional(),
    steps: z.array(stepSchema).min(1).max(requestLimits.steps).optional(),
    script: script.optional(),
    env: environment.default({}),
    artifacts: artifactsSchema,
    secrets: z.array(envName).max(100).default([]),
    // True for a pull request from a fork: its steps are untrusted. Such a job gets no secret, and saves no cache.
    from_fork: z.boolean().default(false),
    timeout_seconds: z.int().min(1).max(requestLimits.timeoutSecondsMax).optional(),
    priority: z.int().min(-100).max(100).default(0),
    group_id: z.string().max(200).optional(),
    /** Seconds for which the guest is kept for people to enter, if the job fails. */
    hold_on_failure_seconds: z.int().min(1).max(longestHoldSeconds).optional(),
    submitted_at: z.iso
      .datetime({ offset: true, error: inForm("a time such as 2026-11-24T02:00:00Z") })
      .optional(),
    cache: cacheSchema.optional(),
  })
  .refine((request) => hasEitherStepsOrScript(request), {
    // Also when other fields are wrong, so that a person can correct everything at once.
    when: ({ value, issues }) => canJudgeSteps(value, issues),
    path: ["steps"],
    error: ({ input }) => {
      const what =
        (input as StepsOrScript).script !== undefined
          ? "steps and script are both given"
          : "steps and script are both missing";
      return `${what}; give one of the two`;
    },
  })
  .check((context) => {
    for (const problem of crossFieldProblems(context.value)) {
      context.issues.push({ code: "custom", input: context.value, ...problem });
    }
  });

const requestKeys: MessageKeys = {
  keys: Object.keys(jobRequestSchema.shape),
  emptyIsAbsent: ["repo_url", "repo_owner", "repo_name", "commit_sha"],
  inner: {
    steps: { keys: Object.keys(stepSchema.shape) },
    artifacts: { keys: artifactKeys },
    cache: { keys: cacheKeys },
  },
};

/**
 * Validates without throwing; the issues describe what is needed, in words for people. Fields that count as absent are
 * left out.
 */
export function safeParseRequest(input: unknown) {
  return jobRequestSchema.safeParse(presentFields(input, requestKeys), { error: problemText });
}

/** Names of the schema's types for people. */
const typeNames: Readonly<Record<string, string>> = {
  string: "a text",
  boolean: "true or false",
  number: "a number",
  int: "a whole number",
  array: "a list",
  object: "a map of keys",
  record: "a map of keys",
};

function problemText(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_key") {
    return `this name cannot be used: it ${issue.issues.map(({ message }) => message).join(", and ")}`;
  }
  if (issue.code === "invalid_value")
    return `needs ${issue.values.map((value) => `"${String(value)}"`).join(" or ")}`;
  if (issue.code === "too_small" || issue.code === "too_big") return sizeText(issue);
  if (issue.code !== "invalid_type") return undefined;
  const needed = `needs ${typeNames[issue.expected] ?? issue.expected}`;
  if (issue.input === undefined) return `is missing; ${needed}`;
  const isScalar = typeof issue.input === "boolean" || typeof issue.input === "number";
  return issue.expected === "string" && isScalar ? `${needed}; write it in quotes` : needed;
}

/** The counted unit of a text or a list; a number has none. */
const countedNames: Readonly<Record<string, string>> = { string: " characters", array: " entries" };

function sizeText(issue: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig>): string {
  const counted = countedNames[issue.origin] ?? "";
  if (issue.code === "too_big") return `must ${counted ? "have" : "be"} at most ${issue.maximum}${counted}`;
  if (counted !== "" && issue.minimum === 1) return "is empty; enter a value, or leave it out";
  return `must ${counted ? "have" : "be"} at least ${issue.minimum}${counted}`;
}

/** A request after validation, with defaults filled in. */
export type JobRequest = z.output<typeof jobRequestSchema>;

/** A producer's message: fields with defaults may be left out. */
export type JobRequestInput = z.input<typeof jobRequestSchema>;

interface CrossFieldInput {
  readonly steps?: readonly { readonly run: string }[] | undefined;
  readonly repo_url?: string | undefined;
  readonly commit_sha?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
}

/** The unchecked fields that define what runs. */
interface StepsOrScript {
  readonly steps?: unknown;
  readonly script?: unknown;
}

/**
 * True when `steps` and `script` can be judged: zod drops a field of a wrong type from `value`, although the request
 * has it.
 */
function canJudgeSteps(value: unknown, issues: readonly z.core.$ZodRawIssue[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { steps, script } = value as StepsOrScript;
  const isOneWrong = issues.some(({ path }) => path?.[0] === "steps" || path?.[0] === "script");
  return !isOneWrong || (steps !== undefined && script !== undefined);
}

function hasEitherStepsOrScript({ steps, script }: StepsOrScript): boolean {
  return (steps === undefined) !== (script === undefined);
}

function crossFieldProblems(request: CrossFieldInput): { path: string[]; message: string }[] {
  const problems = [];
  if ((request.repo_url === undefined) !== (request.commit_sha === undefined)) {
    problems.push({ path: ["commit_sha"], message: "repo_url and commit_sha must be given together" });
  }
  const scriptBytes = (request.steps ?? []).reduce((total, step) => total + Buffer.byteLength(step.run), 0);
  if (scriptBytes > requestLimits.totalScriptBytes) {
    problems.push({
      path: ["steps"],
      message: `all scripts together exceed ${requestLimits.totalScriptBytes} bytes`,
    });
  }
  const env = Object.entries(request.env);
  const envBytes = env.reduce((total, [name, value]) => total + name.length + Buffer.byteLength(value), 0);
  if (env.length > requestLimits.envEntries || envBytes > requestLimits.totalEnvBytes) {
    problems.push({
      path: ["env"],
      message: `at most ${requestLimits.envEntries} entries, ${requestLimits.totalEnvBytes} bytes`,
    });
  }
  const double = request.secrets.filter((name) => Object.hasOwn(request.env, name));
  if (double.length > 0) {
    problems.push({
      path: ["secrets"],
      message: `${double.join(", ")} is in env as well; remove one of the two`,
    });
  }
  if (Buffer.byteLength(JSON.stringify(request)) > requestLimits.totalBytes) {
    const limit = `${requestLimits.totalBytes} bytes`;
    problems.push({
      path: [],
      message: `is longer than ${limit} as JSON; keep long scripts in the repository`,
    });
  }
  return problems;
}

/**
 * Validates a producer's message. Throws `usage` with every problem and its place, not only the first. `nameOf` returns
 * the name of a place where it is not its path.
 */
export function parseJobRequest(input: unknown, nameOf: typeof placeText = placeText): JobRequest {
  const parsed = safeParseRequest(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${nameOf(issue.path)}: ${issue.message}`);
  const shown = problems.slice(0, requestLimits.problemsShown);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more problems`);
  throw new SolsticeError("usage", `The job request is not valid: ${shown.join("; ")}.`, {
    cause: parsed.error,
  });
}

/** A place in a request for people; a hostile key may be very long. */
export function placeText(path: readonly PropertyKey[]): string {
  const text = path.join(".") || "request";
  return text.length > requestLimits.placeChars ? `${text.slice(0, requestLimits.placeChars)}…` : text;
}

/** The unknown top-level keys of `input`, for one log line about a newer producer. */
export function unknownRequestKeys(input: object): string[] {
  return Object.keys(input).filter((key) => !(key in jobRequestSchema.shape));
}

/** An unknown key of a request, and the valid keys at its place. */
export interface UnknownPlace {
  /** Keys and places in lists. */
  readonly path: readonly (string | number)[];
  readonly known: readonly string[];
}

/** The unknown keys of `input`, at any depth. For input written by a person, where such a key is a mistake. */
export function unknownRequestPlaces(input: object): UnknownPlace[] {
  return unknownPlaces(input, requestKeys).map((path) => ({ path, known: keysBeside(path) }));
}

function keysBeside(path: readonly (string | number)[]): readonly string[] {
  const names = path.slice(0, -1).filter((key) => typeof key === "string");
  return (
    names.reduce<MessageKeys | undefined>((known, name) => known?.inner?.[name], requestKeys)?.keys ?? []
  );
}

/** The steps of a request; a script without steps is one step with the name `script`. */
export function stepsOf(request: JobRequest): RequestStep[] {
  return request.steps ?? [{ name: "script", run: request.script ?? "" }];
}

/** The caches of a job, in the order in which its guest counts them. */
export function cachesOf(request: JobRequest): readonly CacheRequest[] {
  return request.cache ?? [];
}

/** The request of a job that repeats another one: the same except for its id and time. */
export function repeatRequest(request: JobRequest, again: { requestId: string; at: number }): JobRequest {
  return { ...request, request_id: again.requestId, submitted_at: new Date(again.at).toISOString() };
}

/** True when a job has always steps: only then its end may take the time for clean-up. */
export function hasAlwaysSteps(request: JobRequest): boolean {
  return (request.steps ?? []).some((step) => step.always === true);
}
