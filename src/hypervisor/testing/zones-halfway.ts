import { addFault } from "../zones/testing/stand-in/host/faults.ts";
import { openState } from "../zones/testing/stand-in/host/state.ts";

/** The commands of the stand-in that can do half of their work. */
const commands = ["zfs", "zonecfg", "zoneadm", "dladm", "ipadm", "dd"];

/** Has a command of the stand-in, which runs next with these arguments, die halfway; false for any other program. */
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
