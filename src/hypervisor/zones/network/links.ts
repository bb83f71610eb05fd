import { type CommandHost, executeOrThrow, executeWhenFree } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";
import { splitFields } from "../zone/zone-list.ts";
import { type GuestCard, normaliseMac } from "./slots.ts";

/** A virtual network card of the host. */
export interface Vnic {
  readonly name: string;
  readonly macAddress: string;
}

/** Restrictions of a guest's card, whatever the guest sends (dladm(8), `protection`). */
const protection = "mac-nospoof,ip-nospoof,dhcp-nospoof,restricted";

/** All VNICs of the host. */
export async function listVnics(host: CommandHost): Promise<Vnic[]> {
  return parseVnics(await executeOrThrow(host, "dladm", ["show-vnic", "-p", "-o", "link,macaddress"]));
}

/** Parses the output of `dladm show-vnic -p -o link,macaddress`, in which the colons of an address are escaped. */
export function parseVnics(text: string): Vnic[] {
  return text.split("\n").flatMap((line) => {
    const [name, macAddress] = splitFields(line);
    return name && macAddress ? [{ name, macAddress: normaliseMac(macAddress) }] : [];
  });
}

/**
 * Creates a guest's card if it is missing (temporary VNICs end with a restart of the host), and always sets its
 * protection: a killed start may have created the card without it.
 */
export async function ensureVnic(host: CommandHost, link: string, card: GuestCard): Promise<void> {
  const present = (await listVnics(host)).some(({ name }) => name === card.vnic);
  if (!present) {
    await executeOrThrow(host, "dladm", ["create-vnic", "-t", "-l", link, "-m", card.macAddress, card.vnic]);
  }
  const properties = [`protection=${protection}`, `allowed-ips=${card.address}`];
  const args = properties.flatMap((property) => ["-p", property]);
  await executeOrThrow(host, "dladm", ["set-linkprop", "-t", ...args, card.vnic]);
}

/** Removes a guest's card. Idempotent. */
export async function deleteVnic(host: CommandHost, name: string): Promise<void> {
  const args = ["delete-vnic", "-t", name];
  const result = await executeWhenFree(host, "dladm", args);
  if (result.exitCode !== 0 && !isAbsent(result)) throw toHostError({ program: "dladm", args, ...result });
}
