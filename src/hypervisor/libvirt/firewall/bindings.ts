/** A card of the pool and the one address that it may use. */
export interface Binding {
  readonly macAddress: string;
  readonly address: string;
}

/** A lease of the guests' network, also one of somebody else's machine. */
export interface Lease extends Binding {
  /** Seconds since the epoch. */
  readonly expirySeconds: number;
}

/** What {@link decideBindings} looks at. */
export interface BindingFacts {
  readonly leases: readonly Lease[];
  /** Whether a card is one of the pool. */
  readonly isOurs: (macAddress: string) => boolean;
  /** The cards of guests that have power. */
  readonly powered: ReadonlySet<string>;
  readonly previous: readonly Binding[];
  /** Seconds since the epoch. */
  readonly now: number;
}

/**
 * Which card may use which address: the one that the DHCP server leased to it. An address that a powered guest has stays
 * its own when another guest of ours gets a lease for it: DHCP knows a client by what it says of itself, so that a guest can
 * ask for another's lease. One that went to a stranger on the same network, or that nobody has, is given up.
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
