import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/** Resolves a host's name to addresses, as the system does; an unknown name has no addresses. Never fails. */
export type LookUp = (host: string) => Promise<readonly string[]>;

/** Resolves a name to its addresses. */
export async function lookUpHost(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

/** Milliseconds for which a result is cached; a server's address may be slightly outdated. */
const cachedMs = 60_000;

/** Maximum number of cached names, which come from requests. */
const namesMax = 500;

/**
 * Maximum concurrent look-ups: each uses one of Node's four threads, for half a minute when no DNS server
 * answers.
 */
const openMax = 2;

interface Kept {
  readonly at: number;
  readonly addresses: Promise<readonly string[]>;
}

/**
 * Creates look-ups that are shared and cached for a minute. A name for which no thread is free counts as a
 * name without addresses, and is resolved the next time. `now`: ms since the epoch.
 */
export function createLookUps(lookUp: LookUp, now: () => number = Date.now): LookUp {
  const kept = new Map<string, Kept>();
  let open = 0;
  return async (host) => {
    if (isIP(host) !== 0) return [host];
    const cached = kept.get(host);
    if (cached !== undefined && now() - cached.at < cachedMs) return cached.addresses;
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
