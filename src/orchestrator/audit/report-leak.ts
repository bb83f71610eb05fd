import type { Context } from "../context.ts";
import type { AuditedLeak } from "./audit-state.ts";

/** Logs the result of a repair: each success, and each failure once. */
export function reportLeak({ log, audits }: Pick<Context, "log" | "audits">, leak: AuditedLeak): void {
  const { isFixed, problem, ...facts } = leak;
  if (isFixed) log.warn(facts, "leak repaired");
  else if (leak.remedy !== "none" && !audits.wasLeft(leak)) log.warn({ ...facts, problem }, "leak remains");
}
