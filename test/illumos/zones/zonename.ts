import type { Command } from "../host/context.ts";

/** zonename(1): everything here is done in the global zone. */
export const zonename: Command = (context) => {
  context.out("global");
};
