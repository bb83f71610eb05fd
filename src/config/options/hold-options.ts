import { mostHolds } from "../../core/request/hold-limits.ts";
import type { OptionDefinition } from "./option-definition.ts";
import { duration, wholeNumber } from "./option-parsers.ts";

const capacity = "Capacity:";

/** Limits of guests that are on hold after their job failed. */
export const holdOptions = {
  maxHolds: {
    flag: "max-holds",
    placeholder: "N",
    environment: "MAX_HOLDS",
    group: capacity,
    description:
      "number of failed jobs' guests that may be on hold, for people to enter, in addition to running jobs; 0: none",
    defaultText: "1",
    parse: wholeNumber(0, mostHolds),
  } as const satisfies OptionDefinition<number>,
  holdLimit: {
    flag: "hold-limit",
    placeholder: "TIME",
    environment: "HOLD_LIMIT",
    group: capacity,
    description: "longest time that a guest is on hold, even if its job requests more",
    defaultText: "1h",
    parse: duration,
  } as const satisfies OptionDefinition<number>,
};
