import type { CacheRequest } from "../../core/cache/request.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { PlannedArtifact } from "../../core/request/artifacts.ts";
import { cacheAssignments } from "./cache-plan.ts";
import { shellQuote } from "./shell-quote.ts";

/** One step of a plan. */
export interface PlanStep {
  readonly name: string;
  readonly run: string;
  /** True when the step also runs after another step failed, and after the job was stopped. */
  readonly always?: boolean | undefined;
  /** Time limit of the step; by default, the job's. */
  readonly timeoutSeconds?: number | undefined;
}

/** Credentials of git for a private repository. */
export interface PlanCheckout {
  readonly kind: "password" | "ssh_key";
  /** Empty for an ssh key. */
  readonly username: string;
  readonly secret: string;
}

/** The job's data that a runner needs. */
export interface PlanInput {
  readonly jobId: string;
  readonly attempt: number;
  /** Null for a job without a repository; then there is no step `checkout`, and the first step has index 0. */
  readonly repoUrl: string | null;
  readonly commitSha: string | null;
  readonly ref: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Further variables of the steps, which must not appear in any argument list. */
  readonly secrets?: readonly { readonly name: string; readonly value: string }[];
  /** Credentials for the checkout; no step gets them. */
  readonly checkout?: PlanCheckout | null;
  /**
   * Reason why the guest cannot reach the repository, if its host detected one: then a failed checkout reports this
   * reason and is not retried.
   */
  readonly closedWay?: string | null;
  /** First lines of the log. */
  readonly notes?: readonly string[];
  readonly steps: readonly PlanStep[];
  /** Time limit for all steps with `always` together, after a step has failed or the job was stopped. */
  readonly cleanupSeconds: number;
  /** Artifacts to keep after the steps, in the order of the request. */
  readonly artifacts: readonly PlannedArtifact[];
  /** Caches to restore before the steps and to save after them; absent: none. */
  readonly caches?: readonly CacheRequest[];
  /** Time from `Start` after which the runner ends when it cannot reach the orchestrator. */
  readonly deadlineSeconds: number;
}

/**
 * Builds the plan of a job: a POSIX shell fragment that only assigns variables, for `runner.sh` to source. Every value
 * is a single-quoted word. The last assignment proves to the runner that the plan is complete. Throws `usage` for a NUL
 * character, or for an invalid name of an environment variable.
 */
export function buildPlan(input: PlanInput): string {
  const env = Object.entries(input.env).map(([name, value]) => environmentEntry(name, value));
  const assignments: [name: string, value: string | number][] = [
    ["PLAN_JOB_ID", input.jobId],
    ["PLAN_ATTEMPT", input.attempt],
    ["PLAN_REPO_URL", input.repoUrl ?? ""],
    ["PLAN_COMMIT", input.commitSha ?? ""],
    ["PLAN_REF", input.ref ?? ""],
    ["PLAN_CHECKOUT_CLOSED", input.closedWay ?? ""],
    ["PLAN_DEADLINE_SECONDS", Math.ceil(input.deadlineSeconds)],
    ["PLAN_CLEANUP_SECONDS", Math.ceil(input.cleanupSeconds)],
    ["PLAN_ENV_COUNT", env.length],
    ...env.map((entry, at): [string, string] => [`PLAN_ENV_${at + 1}`, entry]),
    // The part before this line is kept for shells of people in the guest of a failed job; it has no secret.
    ["PLAN_OPEN_END", "yes"],
    ...secretAssignments(input),
    ["PLAN_STEP_COUNT", input.steps.length],
    ...input.steps.flatMap((step, at) => stepAssignments(step, `PLAN_STEP_${at + 1}`)),
    ["PLAN_ARTIFACT_COUNT", input.artifacts.length],
    ...input.artifacts.flatMap(({ pattern, required, when }, at): [string, string][] => [
      [`PLAN_ARTIFACT_${at + 1}_PATTERN`, pattern],
      [`PLAN_ARTIFACT_${at + 1}_REQUIRED`, required ? "yes" : "no"],
      [`PLAN_ARTIFACT_${at + 1}_WHEN`, when],
    ]),
    ...cacheAssignments(input.caches ?? []),
    ["PLAN_COMPLETE", "yes"],
  ];
  return assignments.map(([name, value]) => `${name}=${shellQuote(String(value))}\n`).join("");
}

function stepAssignments(step: PlanStep, prefix: string): [name: string, value: string | number][] {
  return [
    [`${prefix}_NAME`, step.name],
    [`${prefix}_RUN`, step.run],
    [`${prefix}_KIND`, step.always ? "always" : ""],
    [`${prefix}_SECONDS`, step.timeoutSeconds ?? ""],
  ];
}

function secretAssignments({ secrets = [], checkout, notes = [] }: PlanInput): [string, string | number][] {
  return [
    ["PLAN_NOTES", notes.join("\n")],
    ["PLAN_CHECKOUT_KIND", checkout?.kind ?? ""],
    ["PLAN_CHECKOUT_USER", checkout?.username ?? ""],
    ["PLAN_CHECKOUT_SECRET", checkout?.secret ?? ""],
    ["PLAN_SECRET_COUNT", secrets.length],
    ...secrets.flatMap(({ name, value }, at): [string, string][] => [
      [`PLAN_SECRET_${at + 1}_NAME`, checkedName(name)],
      [`PLAN_SECRET_${at + 1}`, value],
    ]),
  ];
}

/** Returns an entry for `env`, which would treat a name with a leading dash as an option. */
function environmentEntry(name: string, value: string): string {
  return `${checkedName(name)}=${value}`;
}

function checkedName(name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name;
  throw new SolsticeError("usage", `${JSON.stringify(name)} is not a valid name of an environment variable.`);
}
