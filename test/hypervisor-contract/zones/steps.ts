import { onlyLooks } from "./looks.ts";

/** How a victim whose backend is zones is made, and how its steps are told. */
export const zonesSteps = {
  module: new URL("place.ts", import.meta.url).href,
  hooks: import.meta.url,
  onlyLooks,
};

export { onlyLooks };

/** The commands of the stand-in that can do half of their work. */
const halting = ["zfs", "zonecfg", "zoneadm", "dladm", "ipadm", "dd"];

/**
 * A command of the stand-in dies halfway by itself: the stand-in was told to have it do so. One of illumos is killed.
 * @public
 */
export function haltsItself(program: string): boolean {
  return process.env.SOLSTICE_STAND_IN !== undefined && halting.includes(program);
}
