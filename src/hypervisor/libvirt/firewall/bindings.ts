/** The MAC address of one of our guests, and the only IP address that it may use. */
export interface Binding {
  readonly macAddress: string;
  readonly address: string;
}

/** A DHCP lease in the guests' network; its machine may be foreign (not one of our guests). */
export interface Lease extends Binding {
  /** Seconds since the epoch. */
  readonly expirySeconds: number;
}

/** Input of {@link decideBindings}. */
export interface BindingFacts {
  readonly leases: readonly Lease[];
  /** True for a MAC address of our guests. */
  readonly isOurs: (macAddress: string) => boolean;
  /** The cards of guests that have power. */
  readonly powered: ReadonlySet<string>;
  readonly previous: readonly Binding[];
  /** Seconds since the epoch. */
  readonly now: number;
}

/**
 * Decides which card may use which address: the one that the DHCP server leased to it. A powered guest keeps its
 * address when another of our guests gets a lease for it: DHCP identifies a client by the client's own message, so a
 * guest can request another guest's lease. An address that is leased to a foreign machine, or not leased any more, is
 * removed.
 */
export function decideBindings(facts: BindingFacts): Binding[] {
  const valid = facts.leases.filter(({ expirySeconds }) => expirySeconds === 0 || expirySeconds > facts.now);
  const holders = new Map(valid.map(({ address, macAddress }) => [address, macAddress]));
  const addresses = new Map<string, string>();
  const taken = new Set<string>();
  const bind = ({ macAddress, address }: Binding) => {
    if (addresses.has(macAddress) || taken.has(address)) return;
    addresses.set(macAddress, address);
    taken.add(address);
  };
  const isKept = ({ macAddress, address }: Binding) => {
    const holder = holders.get(address);
    return facts.powered.has(macAddress) && holder !== undefined && facts.isOurs(holder);
  };
  facts.previous.filter(isKept).forEach(bind);
  const latestFirst = valid.toSorted((a, b) => b.expirySeconds - a.expirySeconds);
  latestFirst.filter(({ macAddress }) => facts.isOurs(macAddress)).forEach(bind);
  return [...addresses]
    .map(([macAddress, address]) => ({ macAddress, address }))
    .sort((a, b) => (a.macAddress < b.macAddress ? -1 : 1));
}
