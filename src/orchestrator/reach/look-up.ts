import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/** The addresses of a host's name, as the system has them; none for a name that has none. Never fails. */
export type LookUp = (host: string) => Promise<readonly string[]>;

/** Looks up the addresses of a name. */
export async function lookUpHost(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

/** How long what was looked up counts, in ms; of a server's address it is enough to be nearly right. */
const keptMs = 60_000;

/** How many names are kept: they come from requests. */
const namesMax = 500;

/** Look-ups at a time: each takes a thread of Node's four, for half a minute where no DNS server answers. */
const openMax = 2;

interface Kept {
  readonly at: number;
  readonly addresses: Promise<readonly string[]>;
}

/**
 * Look-ups that are shared and kept for a minute. A name for which there is no thread counts as one without addresses, and is
 * looked up the next time. `now`: ms since the epoch.
 */
export function createLookUps(lookUp: LookUp, now: () => number = Date.now): LookUp {
  const kept = new Map<string, Kept>();
  let open = 0;
  return async (host) => {
    if (isIP(host) !== 0) return [host];
    const known = kept.get(host);
    if (known !== undefined && now() - known.at < keptMs) return known.addresses;
    if (open >= openMax) return [];
    open += 1;
    const addresses = lookUp(host).finally(() => {
      open -= 1;
    });
    kept.delete(host);
    kept.set(host, { at: now(), addresses });
    for (const oldest of kept.keys()) {
      if (kept.size <= namesMax) break;
      kept.delete(oldest);
    }
    return addresses;
  };
}
