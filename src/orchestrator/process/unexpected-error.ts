import type { Log } from "../context.ts";

/**
 * Ends the process at an exception that no code of ours can catch, such as one in an event handler of a library: what state that left
 * behind is unknown. It ends at once, as `kill -9` does: guests go on, and the next start adopts them. Returns what ends the watch.
 */
export function endAtUnexpectedError(log: Log): () => void {
  const onError = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) => {
    try {
      const what = "an unexpected error ends the orchestrator; guests go on, and its next start adopts them";
      log.error({ err: error, origin }, what);
    } finally {
      process.exit(1);
    }
  };
  process.on("uncaughtException", onError);
  return () => void process.off("uncaughtException", onError);
}
