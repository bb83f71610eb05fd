import type { Inventories, StoreInventory } from "../../core/audit/inventories.ts";
import type { Leftover } from "../../images/prepare/leftovers.ts";
import { readStoreInventory } from "../../store/hosts/audit.ts";
import type { Context } from "../context.ts";
import { listTemporaryFiles } from "./temporary-files.ts";

/**
 * The dependencies of an audit: less than the loops have, because an audit also runs without an orchestrator.
 */
export interface AuditContext
  extends Pick<Context, "config" | "identity" | "store" | "hypervisor" | "log" | "guestLock" | "audits"> {
  /** Default: the system's temporary directory. */
  readonly temporaryDirectory?: string;
}

/** {@link Inventories} of this host, with the function that removes each temporary file. */
export interface HostInventories extends Inventories {
  readonly temporary: readonly Leftover[];
}

/**
 * Reads the inventories: the host first and the store last, because each intent is stored before the action.
 */
export async function readInventories(context: AuditContext): Promise<HostInventories> {
  const { config, identity, hypervisor, audits } = context;
  const temporary = await listTemporaryFiles(config, context.temporaryDirectory);
  const guestInventory = await hypervisor.listInventory();
  const inventories = { hostId: identity.hostId, isDriven: audits.isDriven, guestInventory, temporary };
  return { ...inventories, store: await readStore(context, { guestInventory }), now: Date.now() };
}

/** Reads the store's inventory again, for the same traces of guests. */
export function readStore(
  context: AuditContext,
  { guestInventory }: Pick<Inventories, "guestInventory">,
): Promise<StoreInventory> {
  const { domains, directories, misnamed, logs } = guestInventory;
  return readStoreInventory(context.store, {
    hostId: context.identity.hostId,
    jobIds: [...domains, ...directories, ...misnamed].map(({ jobId }) => jobId),
    loggedJobIds: [...new Set(logs.map(({ jobId }) => jobId))],
  });
}
