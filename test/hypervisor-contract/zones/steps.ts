import { onlyLooks } from "./looks.ts";

/** The module that opens a zones victim, and the names of its steps. */
export const zonesSteps = {
  module: new URL("place.ts", import.meta.url).href,
  hooks: import.meta.url,
  onlyLooks,
};

export { onlyLooks };

/** The commands of the stand-in that can do half of their work. */
const halting = ["zfs", "zonecfg", "zoneadm", "dladm", "ipadm", "dd"];

/**
 * True for a command of the stand-in, which dies halfway by itself, because the stand-in was configured so. A command
 * of illumos is killed.
 * @public
 */
export function haltsItself(program: string): boolean {
  return process.env.SOLSTICE_STAND_IN !== undefined && halting.includes(program);
}
