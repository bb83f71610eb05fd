import type { Context } from "../context.ts";
import type { AuditedLeak } from "./audit-state.ts";

/** Logs what became of a difference that was to be repaired: each that was, and what could not be once. */
export function reportLeak({ log, audits }: Pick<Context, "log" | "audits">, leak: AuditedLeak): void {
  const { isFixed, problem, ...facts } = leak;
  if (isFixed) log.warn(facts, "repaired a difference between this host and the store");
  else if (leak.remedy !== "none" && !audits.wasLeft(leak))
    log.warn({ ...facts, problem }, "a difference between this host and the store is left");
}
