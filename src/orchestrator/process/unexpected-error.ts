import type { Log } from "../context.ts";

/**
 * Ends the process at an exception outside our own calls, such as in an event handler of a library, because
 * the state after it is unknown. The process ends at once, like after `kill -9`: guests keep running, and the
 * next start adopts them. Returns a function that removes the handler.
 */
export function endAtUnexpectedError(log: Log): () => void {
  const onError = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) => {
    try {
      const what =
        "unexpected error: the orchestrator ends; guests keep running, and the next start adopts them";
      log.error({ err: error, origin }, what);
    } finally {
      process.exit(1);
    }
  };
  process.on("uncaughtException", onError);
  return () => void process.off("uncaughtException", onError);
}
