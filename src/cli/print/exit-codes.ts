import type { ErrorCode } from "../../core/errors.ts";

/** What `solstice` exits with. `docs/reference/cli.md` has the same table; a test keeps the two equal. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  unavailable: 69,
  infraError: 70,
  cancelled: 71,
  unauthenticated: 77,
  configInvalid: 78,
  timedOut: 124,
  interrupted: 130,
  brokenPipe: 141,
  terminated: 143,
} as const;

/** What each exit code means, for help and documentation. */
export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: "done; with --wait: the job succeeded",
  failure: "the command failed; with --wait: the job failed without an exit code of its own",
  usage: "the command line is wrong",
  unavailable: "the API or RabbitMQ cannot be reached",
  infraError: "with --wait: infra_error, the job could not be run (image, hypervisor, guest)",
  cancelled: "with --wait: the job was cancelled",
  unauthenticated: "the API wants a token, or another one",
  configInvalid: "the configuration is wrong",
  timedOut: "with --wait: the job timed out, as timeout(1) says it; drain: --timeout was over",
  interrupted: "interrupted with Ctrl-C; a job that was being waited for goes on",
  brokenPipe: "the reader of the output went away, as for a program ended by SIGPIPE",
  terminated: "ended by SIGTERM; a job that was being waited for goes on",
};

/** The exit code for an error. */
export function exitCodeOfError(code: ErrorCode): number {
  // A label that is none is a mistyped name, as a size that is none, which is `usage`.
  if (code === "usage" || code === "unknown_label") return exitCodes.usage;
  if (code === "config_invalid") return exitCodes.configInvalid;
  if (code === "unavailable" || code === "broker_unavailable") return exitCodes.unavailable;
  if (code === "unauthenticated") return exitCodes.unauthenticated;
  return exitCodes.failure;
}

/** The exit code for a job that has ended; `exitCode` is the failing step's, where there is one. */
export function exitCodeOfJob(state: string, exitCode: number | undefined): number {
  if (state === "succeeded") return exitCodes.ok;
  if (state === "timed_out") return exitCodes.timedOut;
  if (state === "cancelled") return exitCodes.cancelled;
  if (state === "infra_error") return exitCodes.infraError;
  // A failed job never exits 0, whatever its record says; what a process can exit with ends at 255.
  return exitCode !== undefined && exitCode > 0 && exitCode <= 255 ? exitCode : exitCodes.failure;
}
