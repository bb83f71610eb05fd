import { addFault } from "../illumos/host/faults.ts";
import { openState } from "../illumos/host/state.ts";
import { onlyLooks as isLook } from "./transcript/looks.ts";

/** Where this module is: `hooks` of a victim whose backend is zones. */
export const zonesSteps = import.meta.url;

/** The commands of the stand-in that can do half of their work. */
const commands = ["zfs", "zonecfg", "zoneadm", "dladm", "ipadm", "dd"];

/**
 * What changes nothing on an illumos host is no step.
 * @public
 */
export function onlyLooks(program: string, args: readonly string[]): boolean {
  return isLook(program, args);
}

/**
 * Has a command of the stand-in, which runs next with these arguments, die halfway; false for any other program.
 * @public
 */
export function haltHalfway(program: string, args: readonly string[]): boolean {
  const directory = process.env.SOLSTICE_STAND_IN;
  if (directory === undefined || !commands.includes(program)) return false;
  const database = openState(directory);
  try {
    const exactly = new RegExp(`^${RegExp.escape(args.join(" "))}$`);
    addFault(database, { command: program, arguments: exactly }, { kind: "die", when: "halfway" });
    return true;
  } finally {
    database.close();
  }
}
