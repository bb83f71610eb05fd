import type { ErrorCode } from "../../core/errors.ts";

/** The exit codes of `solstice`. `docs/reference/cli.md` has the same table; a test keeps the two equal. */
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

/** The meaning of each exit code, for help and documentation. */
export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: "done; with --wait: the job succeeded",
  failure: "the command failed; with --wait: the job failed without an exit code of its own",
  usage: "the command line is wrong",
  unavailable: "the API or RabbitMQ cannot be reached",
  infraError: "with --wait: infra_error, the job could not run (image, hypervisor, guest)",
  cancelled: "with --wait: the job was cancelled",
  unauthenticated: "the API token is missing or wrong",
  configInvalid: "the configuration is wrong",
  timedOut: "with --wait: the job timed out, as with timeout(1); drain: --timeout expired",
  interrupted: "interrupted with Ctrl-C; with --wait: the job continues",
  brokenPipe: "the reader closed the output, as with SIGPIPE",
  terminated: "ended by SIGTERM; with --wait: the job continues",
};

/** The exit code for an error. */
export function exitCodeOfError(code: ErrorCode): number {
  // An unknown label is a mistyped name, like an unknown size, which is `usage`.
  if (code === "usage" || code === "unknown_label") return exitCodes.usage;
  if (code === "config_invalid") return exitCodes.configInvalid;
  if (code === "unavailable" || code === "broker_unavailable") return exitCodes.unavailable;
  if (code === "unauthenticated") return exitCodes.unauthenticated;
  return exitCodes.failure;
}

/** The exit code for a job that has ended; `exitCode` is that of the failing step, if any. */
export function exitCodeOfJob(state: string, exitCode: number | undefined): number {
  if (state === "succeeded") return exitCodes.ok;
  if (state === "timed_out") return exitCodes.timedOut;
  if (state === "cancelled") return exitCodes.cancelled;
  if (state === "infra_error") return exitCodes.infraError;
  // A failed job never exits 0, even if its record has exit code 0. The exit code of a process is 255 at most.
  return exitCode !== undefined && exitCode > 0 && exitCode <= 255 ? exitCode : exitCodes.failure;
}
