import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";
import { audit } from "./audit.ts";

/** Starts the loop that finds leaks, for the first time one interval after the audit of the start. */
export function startAuditLoop(context: Context): Loop {
  let isDue = false;
  return startLoop({
    name: "audit",
    log: context.log,
    run: async () => {
      if (isDue) await audit(context, { fix: true });
      isDue = true;
      return context.config.auditIntervalSeconds * 1000;
    },
  });
}
