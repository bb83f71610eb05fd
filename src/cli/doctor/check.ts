import { errorText, SolsticeError } from "../../core/errors.ts";

/** `fail`: jobs cannot run. `warn`: jobs can run, but the operator should read the finding. */
export type CheckStatus = "ok" | "warn" | "fail";

/** The result of a check. */
export interface Finding {
  readonly status: CheckStatus;
  /** The observation, as a sentence. */
  readonly detail: string;
  /** The repair, if possible as a command to paste. */
  readonly remedy: string | null;
}

/** A check of this host. An error from `run` counts as `fail`. */
export interface Check {
  readonly name: string;
  run(): Promise<Finding>;
}

/** A finding with the name of its check. */
export type CheckResult = { readonly name: string } & Finding;

/** A finding without a problem. */
export function ok(detail: string): Finding {
  return { status: "ok", detail, remedy: null };
}

/** A finding that the operator should read; jobs can run. */
export function warn(detail: string, remedy: string | null): Finding {
  return { status: "warn", detail, remedy };
}

/** A finding that keeps jobs from running. */
export function fail(detail: string, remedy: string | null): Finding {
  return { status: "fail", detail, remedy };
}

/** Runs one check; it never throws. */
export async function runCheck(check: Check): Promise<CheckResult> {
  try {
    return { name: check.name, ...(await check.run()) };
  } catch (error) {
    const remedy = error instanceof SolsticeError ? (error.remedy ?? null) : null;
    const detail = error instanceof SolsticeError ? error.message : errorText(error);
    return { name: check.name, ...fail(detail, remedy) };
  }
}
