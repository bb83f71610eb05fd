import { mostHolds } from "../../core/request/hold-limits.ts";
import { defineOptions } from "./option-definition.ts";
import { capacityMap, duration, wholeNumber } from "./option-parsers.ts";

/** Limits of a host: running and waiting jobs, attempts, logs, and guests on hold. */
export const capacityOptions = defineOptions("Capacity:", {
  maxConcurrency: {
    placeholder: "N",
    description: "number of jobs that run at once on this host",
    defaultText: "2",
    parse: wholeNumber(1, 1000),
  },
  capacityMap: {
    placeholder: "LABEL=N,...",
    description: "caps for single labels, such as illumos-latest=2,ubuntu-22.04=4; 0 stops a label",
    defaultText: null,
    defaultNote: "none",
    parse: capacityMap,
  },
  maxAttempts: {
    placeholder: "N",
    description:
      "number of attempts of a job when the host, the image or the guest fails (failed steps are never repeated)",
    defaultText: "2",
    parse: wholeNumber(1, 10),
  },
  logLimitMb: {
    placeholder: "MB",
    description:
      "largest log of one attempt, in MiB: of a larger log, half of that from the beginning and half from the end",
    defaultText: "64",
    parse: wholeNumber(1, 1_048_576),
  },
  maxQueued: {
    placeholder: "N",
    description:
      "number of jobs that may wait in the store; beyond it requests stay in the broker, and the API refuses new ones",
    defaultText: null,
    defaultNote: "1000; with DATABASE_URL 200000",
    parse: wholeNumber(1, 10_000_000),
  },
  maxHolds: {
    placeholder: "N",
    description:
      "number of failed jobs' guests that may be on hold, for people to enter, in addition to running jobs; 0: none",
    defaultText: "1",
    parse: wholeNumber(0, mostHolds),
  },
  holdLimit: {
    placeholder: "TIME",
    description: "longest time that a guest is on hold, even if its job requests more",
    defaultText: "1h",
    parse: duration,
  },
});
