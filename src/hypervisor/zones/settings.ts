/** How guests in zones are laid out on a host: `zones` of the configuration. Addresses are IPv4, as text. */
export interface ZonesSettings {
  /** The dataset below which everything of ours is. */
  readonly pool: string;
  /** The link that the guests' VNICs are made over. */
  readonly link: string;
  /** The host's own interface on that link. */
  readonly vnic: string;
  readonly subnet: { readonly address: string; readonly prefix: number };
  /** What guests send to that leaves the subnet. */
  readonly gateway: string;
  /** What guests get, both ends included. */
  readonly addresses: { readonly first: string; readonly last: string };
  /** Null: those of the host's /etc/resolv.conf. */
  readonly nameservers: readonly string[] | null;
}
