import type { Command } from "../host/context.ts";

/** zonename(1): all commands run in the global zone. */
export const zonename: Command = (context) => {
  context.out("global");
};
