import { SolsticeError } from "../../../core/errors.ts";
import { type Egress, egressKey } from "../../../core/image-map/egress.ts";
import { poolAddress, poolSize } from "../mac-addresses.ts";
import type { EgressClass } from "./ruleset.ts";
import { egressCode, type TapName, tapName } from "./tap-names.ts";

/** Every policy with its short code, `open` and `none` always. Throws `config_invalid` where two lists share a code. */
export function classesOf(policies: readonly Egress[]): EgressClass[] {
  const classes = new Map<string, EgressClass>();
  for (const egress of ["open", "none", ...policies] as const) {
    const code = egressCode(egress);
    const other = classes.get(code);
    if (other !== undefined && egressKey(other.egress) !== egressKey(egress)) {
      throw new SolsticeError(
        "config_invalid",
        "Two egress lists of the image map have the same short code.",
        {
          remedy: `Change one of them a little: ${egressKey(other.egress)} or ${egressKey(egress)}`,
        },
      );
    }
    classes.set(code, { code, egress });
  }
  return [...classes.values()];
}

/**
 * Every tap that a guest may have. One that runs already under a policy that the map has no more keeps what `meanings` has for its
 * code; where that is not known, it may go on with its job, and reach nothing but its runner endpoint.
 */
export function cardsAndClasses(
  ownerId: string,
  known: { readonly present: readonly EgressClass[]; readonly meanings: ReadonlyMap<string, Egress> },
  taps: readonly TapName[],
) {
  const codes = new Set(known.present.map(({ code }) => code));
  const former = [...new Set(taps.map((tap) => tap.egressCode))].filter((code) => !codes.has(code));
  const cards = [];
  for (let index = 0; index < poolSize; index += 1) {
    const macAddress = poolAddress(ownerId, index);
    for (const { egress } of known.present)
      cards.push({ tap: tapName(ownerId, macAddress, egress), macAddress });
  }
  for (const { name, macAddress, egressCode: code } of taps) {
    if (former.includes(code)) cards.push({ tap: name, macAddress });
  }
  const formerClasses = former.map((code) => ({
    code,
    egress: known.meanings.get(code) ?? ("none" as const),
  }));
  return { cards, classes: [...known.present, ...formerClasses] };
}
