import { SolsticeError } from "../../../core/errors.ts";
import { type Egress, egressKey } from "../../../core/image-map/egress.ts";
import { poolAddress, poolSize } from "../mac-addresses.ts";
import type { EgressClass } from "./ruleset.ts";
import { egressCode, type TapName, tapName } from "./tap-names.ts";

/**
 * Returns every policy with its short code, always including `open` and `none`. Throws `config_invalid` when two lists
 * share a code.
 */
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
 * Returns every tap that a guest may have. A guest running under a policy that the map no longer has keeps the policy
 * that `meanings` has for its code; without an entry, the guest can continue its job, but reach only its runner
 * endpoint.
 */
export function cardsAndClasses(
  ownerId: string,
  policies: { readonly present: readonly EgressClass[]; readonly meanings: ReadonlyMap<string, Egress> },
  taps: readonly TapName[],
) {
  const codes = new Set(policies.present.map(({ code }) => code));
  const former = [...new Set(taps.map((tap) => tap.egressCode))].filter((code) => !codes.has(code));
  const cards = [];
  for (let index = 0; index < poolSize; index += 1) {
    const macAddress = poolAddress(ownerId, index);
    for (const { egress } of policies.present)
      cards.push({ tap: tapName(ownerId, macAddress, egress), macAddress });
  }
  for (const { name, macAddress, egressCode: code } of taps) {
    if (former.includes(code)) cards.push({ tap: name, macAddress });
  }
  const formerClasses = former.map((code) => ({
    code,
    egress: policies.meanings.get(code) ?? ("none" as const),
  }));
  return { cards, classes: [...policies.present, ...formerClasses] };
}
