import { errorText, SolsticeError } from "../../core/errors.ts";

/** `fail`: jobs cannot run. `warn`: they can, but something is worth knowing. */
export type CheckStatus = "ok" | "warn" | "fail";

/** What a check found. */
export interface Finding {
  readonly status: CheckStatus;
  /** What was seen, in a sentence. */
  readonly detail: string;
  /** What repairs it, where possible a command to paste. */
  readonly remedy: string | null;
}

/** A question about this host. What `run` throws counts as `fail`. */
export interface Check {
  readonly name: string;
  run(): Promise<Finding>;
}

/** A finding with the name of its check. */
export type CheckResult = { readonly name: string } & Finding;

/** All is well. */
export function ok(detail: string): Finding {
  return { status: "ok", detail, remedy: null };
}

/** It works, but something is worth knowing. */
export function warn(detail: string, remedy: string | null): Finding {
  return { status: "warn", detail, remedy };
}

/** Jobs cannot run. */
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
