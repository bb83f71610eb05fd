import { errorText, SolsticeError } from "../../../core/errors.ts";
import type { Egress } from "../../../core/image-map/egress.ts";
import type { Log } from "../../../core/log.ts";
import type { LibvirtClient } from "../../../libvirt/index.ts";
import { poolSize } from "../mac-addresses.ts";
import type { Binding } from "./bindings.ts";
import { closeToSpanningTree } from "./bridge-ports.ts";
import { cardsAndClasses, classesOf } from "./egress-classes.ts";
import { currentBindings, listTaps, networkFacts, runnerOf } from "./host-facts.ts";
import { watchLeases } from "./lease-watch.ts";
import { applyRuleset, listTables, removeTables } from "./nft.ts";
import { buildRuleset, type EgressClass, type FirewallPlan } from "./ruleset.ts";
import { tapName, tapPrefix } from "./tap-names.ts";

/** The operator's settings for the guests' network. */
export interface FirewallSettings {
  /** Returns every policy of the present image map; a reload may bring others. */
  readonly egress: () => readonly Egress[];
  /** IPv4 ranges of the operator's own networks that `open` guests may reach. */
  readonly lanAccess: readonly string[];
  /** TCP ports of the host's address on the guests' network that guests may call. */
  readonly hostPorts: readonly number[];
}

/** Input of {@link createFirewall}. */
export interface FirewallParts {
  readonly client: LibvirtClient;
  readonly network: string;
  readonly ownerId: string;
  readonly settings: FirewallSettings;
  readonly log: Log;
}

/**
 * The nftables tables around the guests of one installation. Calls may overlap; changes of the tables run one after the
 * other.
 */
export interface Firewall {
  /**
   * Returns the tap's name for a guest with that card; throws when the firewall is not installed, or the card is not in
   * the pool.
   */
  tapFor(macAddress: string | null, egress: Egress): string;
  /** Installs the tables, or repairs them. `runnerUrl` is the URL that guests call. */
  ensureFirewall(runnerUrl: string): Promise<void>;
  /**
   * Verifies and repairs with the URL of `ensureFirewall`, for the start of a guest; throws before the first call of
   * it.
   */
  verify(): Promise<void>;
  /**
   * Closes the bridge ports of powered guests to traffic that nftables does not see; called soon after a guest's start.
   */
  closePorts(): Promise<void>;
  /** Removes the tables: only when no guest has power. */
  remove(): Promise<void>;
  close(): void;
}

/** The last content of the kernel's tables. */
interface Applied {
  readonly ruleset: string;
  /** The listing of nft after the change; a different listing means that the tables were changed from outside. */
  readonly listing: string;
}

/** The changing state of a firewall. */
interface State {
  /** Null before `ensureFirewall`. */
  runner: FirewallPlan["runner"] | null;
  applied: Applied | null;
  bindings: readonly Binding[];
  /** Resolves when the last change of the kernel's tables is done. */
  last: Promise<unknown>;
  unwatch: (() => void) | null;
  /** True when a verification for changed leases is queued: many changes need only one. */
  hasLeaseChange: boolean;
}

/** The constant data of a firewall. */
interface Fixed extends FirewallParts {
  readonly prefix: string;
  /** Policy of each egress code in the maps that this process has had, for guests that are still running. */
  readonly meanings: Map<string, Egress>;
}

/** Creates the firewall of an installation; the tables are installed by `ensureFirewall`. */
export function createFirewall(parts: FirewallParts): Firewall {
  const { ownerId } = parts;
  const fixed: Fixed = { ...parts, prefix: tapPrefix(ownerId), meanings: new Map() };
  presentClasses(fixed);
  const state: State = {
    ...{ runner: null, applied: null, bindings: [] },
    ...{ last: Promise.resolve(), unwatch: null, hasLeaseChange: false },
  };
  const verify = () => inTurn(state, () => updateTables(fixed, state, { atKernel: true }));
  return {
    tapFor(macAddress, egress) {
      if (state.applied === null) throw notInPlace();
      if (macAddress !== null) return tapName(ownerId, macAddress, egress);
      throw new SolsticeError("hypervisor_failed", `All ${poolSize} network cards of this host are in use.`, {
        remedy: "Lower MAX_CONCURRENCY.",
      });
    },
    async ensureFirewall(runnerUrl) {
      state.runner = await runnerOf(runnerUrl);
      await verify();
    },
    verify,
    closePorts: async () => closeToSpanningTree(await listTaps(ownerId)),
    remove: () => inTurn(state, () => takeAway(fixed, state)),
    close: () => stopWatching(state),
  };
}

function inTurn(state: State, act: () => Promise<void>): Promise<void> {
  const done = state.last.then(act);
  state.last = done.catch(() => {});
  return done;
}

/** Updates the kernel's tables; `atKernel`: verifies them also when their content has not changed. */
async function updateTables(
  fixed: Fixed,
  state: State,
  scope: { readonly atKernel: boolean },
): Promise<void> {
  const { ownerId, prefix, settings, log } = fixed;
  const { runner, applied } = state;
  if (runner === null) throw notInPlace();
  const facts = await networkFacts(fixed);
  const taps = await listTaps(ownerId);
  await closeToSpanningTree(taps);
  state.bindings = await currentBindings(fixed, { taps, previous: state.bindings });
  const plan = { ...facts, ...settings, prefix, runner, bindings: state.bindings };
  const classes = { present: presentClasses(fixed), meanings: fixed.meanings };
  const ruleset = buildRuleset({ ...plan, ...cardsAndClasses(ownerId, classes, taps) });
  state.unwatch ??= watchLeases(facts.bridge, () => updateLeases(fixed, state));
  if (applied?.ruleset === ruleset) {
    if (!scope.atKernel || (await listTables(prefix)) === applied.listing) return;
    log.warn({ table: prefix }, "guest firewall was changed or removed from outside; restoring it");
  }
  await applyRuleset(ruleset);
  state.applied = { ruleset, listing: await listTables(prefix) };
}

/** Returns the classes of the present map; throws like {@link classesOf}. */
function presentClasses({ settings, meanings }: Pick<Fixed, "settings" | "meanings">): EgressClass[] {
  const classes = classesOf(settings.egress());
  for (const { code, egress } of classes) meanings.set(code, egress);
  return classes;
}

/** Updates the tables after a changed lease, so that the guest can use its address. */
function updateLeases(fixed: Fixed, state: State): void {
  if (state.hasLeaseChange) return;
  state.hasLeaseChange = true;
  inTurn(state, async () => {
    state.hasLeaseChange = false;
    if (state.runner !== null) await updateTables(fixed, state, { atKernel: false });
  }).catch((error: unknown) =>
    fixed.log.warn({ problem: errorText(error) }, "guest firewall not updated for a new lease"),
  );
}

async function takeAway({ prefix }: Fixed, state: State): Promise<void> {
  stopWatching(state);
  state.applied = null;
  await removeTables(prefix);
}

function stopWatching(state: State): void {
  state.runner = null;
  state.unwatch?.();
  state.unwatch = null;
}

function notInPlace(): SolsticeError {
  return new SolsticeError(
    "hypervisor_failed",
    "The guest firewall is not installed: no guest can be started.",
  );
}
