import { defineOptions } from "./option-definition.ts";
import { duration } from "./option-parsers.ts";

/** Time limits of the parts of a job's life. */
export const timeoutOptions = defineOptions("Timeouts (30s, 5m, 1h30m, or seconds):", {
  imageTimeout: timeout("30m", "longest time that a job waits for its image"),
  bootTimeout: timeout("5m", "longest time from the guest's power-on until its runner calls"),
  silenceTimeout: timeout("2m", "longest time without a heartbeat from a running guest"),
  jobTimeout: timeout("1h", "longest time of a job's steps, if the request sets none"),
  cleanupTimeout: timeout(
    "2m",
    "longest time of the steps that always run, after a step failed, or the job was cancelled or timed out",
  ),
  stopTimeout: timeout("30s", "longest time that a guest may take to shut down before it is destroyed"),
  drainTimeout: timeout("10m", "longest time that running jobs may continue after SIGTERM or SIGINT"),
});

function timeout<const Text extends string>(defaultText: Text, description: string) {
  return { placeholder: "TIME", description, defaultText, parse: duration };
}
