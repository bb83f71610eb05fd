import { mostHolds } from "../../core/request/hold-limits.ts";
import type { OptionDefinition } from "./option-definition.ts";
import { duration, wholeNumber } from "./option-parsers.ts";

const capacity = "Capacity:";

/** What an operator allows of guests that are kept after their job failed. */
export const holdOptions = {
  maxHolds: {
    flag: "max-holds",
    placeholder: "N",
    environment: "MAX_HOLDS",
    group: capacity,
    description:
      "how many guests of failed jobs may be kept for people to enter, beside the jobs that run; 0: none",
    defaultText: "1",
    parse: wholeNumber(0, mostHolds),
  } as const satisfies OptionDefinition<number>,
  holdLimit: {
    flag: "hold-limit",
    placeholder: "TIME",
    environment: "HOLD_LIMIT",
    group: capacity,
    description: "how long such a guest is kept at most, whatever its job asks for",
    defaultText: "1h",
    parse: duration,
  } as const satisfies OptionDefinition<number>,
};
