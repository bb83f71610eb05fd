import { lookup } from "node:dns/promises";
import { readdir } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { type Egress, egressKey } from "../../../core/egress.ts";
import { errorText, SolsticeError } from "../../../core/errors.ts";
import type { LibvirtClient } from "../../../libvirt/index.ts";
import type { HypervisorLog } from "../../hypervisor.ts";
import { poolAddress, poolSize, sharedPrefix } from "../mac-addresses.ts";
import { type Binding, decideBindings, type Lease } from "./bindings.ts";
import { closeToSpanningTree } from "./bridge-ports.ts";
import { watchLeases } from "./lease-watch.ts";
import { type NetworkFacts, parseNetworkFacts } from "./network-facts.ts";
import { applyRuleset, listTables, removeTables } from "./nft.ts";
import { buildRuleset, type EgressClass, type FirewallPlan } from "./ruleset.ts";
import { egressCode, parseTapName, type TapName, tapName, tapPrefix } from "./tap-names.ts";

const interfacesDirectory = "/sys/class/net";

/** What the operator decides about the guests' network. */
export interface FirewallSettings {
  /** Every policy that an image of the map has. */
  readonly egress: readonly Egress[];
  /** IPv4 ranges of the operator's own networks that `open` guests may reach. */
  readonly lanAccess: readonly string[];
  /** TCP ports of the host's address on the guests' network that guests may call. */
  readonly hostPorts: readonly number[];
}

/** What {@link createFirewall} works with. */
export interface FirewallParts {
  readonly client: LibvirtClient;
  readonly network: string;
  readonly ownerId: string;
  readonly settings: FirewallSettings;
  readonly log: HypervisorLog;
}

/** The tables around the guests of one installation. Calls may overlap; the kernel's tables change one after the other. */
export interface Firewall {
  /** The name of the tap of a guest with that card; throws where the tables are not in place, or the card is not of the pool. */
  tapFor(macAddress: string | null, egress: Egress): string;
  /** Puts the tables in place, or mends what somebody changed. `runnerUrl` is what guests call. */
  guard(runnerUrl: string): Promise<void>;
  /** The same with the URL that was told, for the start of a guest; it fails before `guard` was called. */
  verify(): Promise<void>;
  /** Closes the bridge ports of guests that have power to what nftables does not see; soon after their start. */
  closePorts(): Promise<void>;
  /** Removes the tables: only when no guest has power. */
  remove(): Promise<void>;
  close(): void;
}

/** What was put into the kernel last. */
interface Applied {
  readonly ruleset: string;
  /** As nft lists it; somebody changed it when that is not the same any more. */
  readonly listing: string;
}

/** Makes the firewall of an installation; nothing is in place before `guard`. */
export function createFirewall(parts: FirewallParts): Firewall {
  const { ownerId, log } = parts;
  const prefix = tapPrefix(ownerId);
  const classes = classesOf(parts.settings.egress);
  let runner: FirewallPlan["runner"] | null = null;
  let applied: Applied | null = null;
  let bindings: readonly Binding[] = [];
  let last: Promise<unknown> = Promise.resolve();
  let unwatch: (() => void) | null = null;

  const bring = async (look: { readonly atKernel: boolean }): Promise<void> => {
    if (runner === null) throw notInPlace();
    const facts = await networkFacts(parts);
    const taps = await listTaps(ownerId);
    await closeToSpanningTree(taps);
    bindings = await currentBindings(parts, { taps, previous: bindings });
    const plan = { ...facts, prefix, runner, bindings, ...parts.settings };
    const ruleset = buildRuleset({ ...plan, ...cardsAndClasses(ownerId, classes, taps) });
    unwatch ??= watchLeases(facts.bridge, onLease);
    if (applied?.ruleset === ruleset) {
      if (!look.atKernel || (await listTables(prefix)) === applied.listing) return;
      log.warn({ table: prefix }, "somebody changed or removed the guests' firewall: putting it back");
    }
    await applyRuleset(ruleset);
    applied = { ruleset, listing: await listTables(prefix) };
  };
  const inTurn = (act: () => Promise<void>): Promise<void> => {
    const done = last.then(act);
    last = done.catch(() => {});
    return done;
  };
  let isLeaseNews = false;
  const onLease = () => {
    // Many changes while one is looked at are one more look.
    if (isLeaseNews || runner === null) return;
    isLeaseNews = true;
    inTurn(() => {
      isLeaseNews = false;
      return runner === null ? Promise.resolve() : bring({ atKernel: false });
    }).catch((error: unknown) =>
      log.warn({ problem: errorText(error) }, "a new lease is not in the guests' firewall yet"),
    );
  };
  return {
    tapFor(macAddress, egress) {
      if (applied === null) throw notInPlace();
      if (macAddress !== null) return tapName(ownerId, macAddress, egress);
      throw new SolsticeError("hypervisor_failed", `All ${poolSize} network cards of this host are in use.`, {
        remedy: "Lower MAX_CONCURRENCY.",
      });
    },
    async guard(runnerUrl) {
      runner = await runnerOf(runnerUrl);
      await inTurn(() => bring({ atKernel: true }));
    },
    verify: () => inTurn(() => bring({ atKernel: true })),
    closePorts: async () => closeToSpanningTree(await listTaps(ownerId)),
    remove: () =>
      inTurn(async () => {
        runner = null;
        applied = null;
        await removeTables(prefix);
      }),
    close() {
      runner = null;
      unwatch?.();
      unwatch = null;
    },
  };
}

function notInPlace(): SolsticeError {
  return new SolsticeError("hypervisor_failed", "The guests' firewall is not in place: no guest may run.");
}

function classesOf(policies: readonly Egress[]): EgressClass[] {
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
 * Every tap that a guest may have. One that runs already under a policy that the map has no more may go on with its job, and
 * reach nothing but its runner endpoint.
 */
function cardsAndClasses(ownerId: string, classes: readonly EgressClass[], taps: readonly TapName[]) {
  const known = new Set(classes.map(({ code }) => code));
  const former = [...new Set(taps.map((tap) => tap.egressCode))].filter((code) => !known.has(code));
  const cards = [];
  for (let index = 0; index < poolSize; index += 1) {
    const macAddress = poolAddress(ownerId, index);
    for (const { egress } of classes) cards.push({ tap: tapName(ownerId, macAddress, egress), macAddress });
  }
  for (const { name, macAddress, egressCode: code } of taps) {
    if (former.includes(code)) cards.push({ tap: name, macAddress });
  }
  return { cards, classes: [...classes, ...former.map((code) => ({ code, egress: "none" as const }))] };
}

async function networkFacts({ client, network }: FirewallParts): Promise<NetworkFacts> {
  return parseNetworkFacts(await client.networkXml(await client.lookupNetwork(network)), network);
}

/** The taps of our guests that have power. */
async function listTaps(ownerId: string): Promise<TapName[]> {
  const names = await readdir(interfacesDirectory);
  return names.flatMap((name) => parseTapName(ownerId, name) ?? []);
}

async function currentBindings(
  { client, network, ownerId }: FirewallParts,
  seen: { readonly taps: readonly TapName[]; readonly previous: readonly Binding[] },
): Promise<Binding[]> {
  const leases = await client.dhcpLeases(await client.lookupNetwork(network));
  const ours = sharedPrefix(ownerId);
  return decideBindings({
    leases: leases.flatMap(({ mac, address, expirySeconds }): Lease[] =>
      mac !== undefined && isIPv4(address)
        ? [{ macAddress: mac.toLowerCase(), address, expirySeconds: Number(expirySeconds) }]
        : [],
    ),
    isOurs: (macAddress) => macAddress.startsWith(ours),
    powered: new Set(seen.taps.map(({ macAddress }) => macAddress)),
    previous: seen.previous,
    now: Math.floor(Date.now() / 1000),
  });
}

async function runnerOf(runnerUrl: string): Promise<FirewallPlan["runner"]> {
  const url = new URL(runnerUrl);
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  if (isIPv4(url.hostname)) return { address: url.hostname, port };
  try {
    return { address: (await lookup(url.hostname, { family: 4 })).address, port };
  } catch (cause) {
    throw new SolsticeError(
      "config_invalid",
      `RUNNER_URL: guests may call ${url.hostname} only when it has an IPv4 address, and none was found.`,
      {
        remedy: "Name the endpoint by its IPv4 address, or run guests without the firewall: FIREWALL=off.",
        cause,
      },
    );
  }
}
