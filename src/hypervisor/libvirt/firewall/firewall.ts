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

/** What the operator decides about the guests' network. */
export interface FirewallSettings {
  /** Every policy that an image of the map has now: a reload may bring others. */
  readonly egress: () => readonly Egress[];
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
  readonly log: Log;
}

/** The tables around the guests of one installation. Calls may overlap; the kernel's tables change one after the other. */
export interface Firewall {
  /** The name of the tap of a guest with that card; throws where the tables are not in place, or the card is not of the pool. */
  tapFor(macAddress: string | null, egress: Egress): string;
  /** Puts the tables in place, or repairs what somebody changed. `runnerUrl` is what guests call. */
  ensureFirewall(runnerUrl: string): Promise<void>;
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

/** What changes while a firewall is used. */
interface State {
  /** Null before `guard`. */
  runner: FirewallPlan["runner"] | null;
  applied: Applied | null;
  bindings: readonly Binding[];
  /** Resolves when the kernel's tables are nobody's work at the moment. */
  last: Promise<unknown>;
  unwatch: (() => void) | null;
  /** Many leases that change while one is looked at are one more look. */
  isLeaseNews: boolean;
}

/** What stays as it is. */
interface Fixed extends FirewallParts {
  readonly prefix: string;
  /** What each egress code meant in a map that this process had, for guests that run since then. */
  readonly meanings: Map<string, Egress>;
}

/** Makes the firewall of an installation; nothing is in place before `guard`. */
export function createFirewall(parts: FirewallParts): Firewall {
  const { ownerId } = parts;
  const fixed: Fixed = { ...parts, prefix: tapPrefix(ownerId), meanings: new Map() };
  presentClasses(fixed);
  const state: State = {
    ...{ runner: null, applied: null, bindings: [] },
    ...{ last: Promise.resolve(), unwatch: null, isLeaseNews: false },
  };
  const look = () => inTurn(state, () => bring(fixed, state, { atKernel: true }));
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
      await look();
    },
    verify: look,
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

/** Brings the kernel's tables to what they should be now; `atKernel`: also where nothing of that has changed. */
async function bring(fixed: Fixed, state: State, look: { readonly atKernel: boolean }): Promise<void> {
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
  state.unwatch ??= watchLeases(facts.bridge, () => bringWithLeases(fixed, state));
  if (applied?.ruleset === ruleset) {
    if (!look.atKernel || (await listTables(prefix)) === applied.listing) return;
    log.warn({ table: prefix }, "somebody changed or removed the guests' firewall: putting it back");
  }
  await applyRuleset(ruleset);
  state.applied = { ruleset, listing: await listTables(prefix) };
}

/** The classes of the map as it is now; throws as {@link classesOf}. */
function presentClasses({ settings, meanings }: Pick<Fixed, "settings" | "meanings">): EgressClass[] {
  const classes = classesOf(settings.egress());
  for (const { code, egress } of classes) meanings.set(code, egress);
  return classes;
}

/** A lease has changed: its guest can use its address from now on. */
function bringWithLeases(fixed: Fixed, state: State): void {
  if (state.isLeaseNews) return;
  state.isLeaseNews = true;
  inTurn(state, async () => {
    state.isLeaseNews = false;
    if (state.runner !== null) await bring(fixed, state, { atKernel: false });
  }).catch((error: unknown) =>
    fixed.log.warn({ problem: errorText(error) }, "a new lease is not in the guests' firewall yet"),
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
  return new SolsticeError("hypervisor_failed", "The guests' firewall is not in place: no guest may run.");
}
