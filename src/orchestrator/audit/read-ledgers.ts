import type { Ledgers, StoreLedger } from "../../core/audit/ledgers.ts";
import type { Leftover } from "../../images/prepare/leftovers.ts";
import { readStoreLedger } from "../../store/hosts/audit.ts";
import type { Context } from "../context.ts";
import { listTemporaryFiles } from "./temporary-files.ts";

/** What an audit works with: less than the loops have, because it also runs where no orchestrator does. */
export interface AuditContext
  extends Pick<Context, "config" | "identity" | "store" | "hypervisor" | "log" | "guestLock" | "audits"> {
  /** The system's unless given. */
  readonly temporaryDirectory?: string;
}

/** {@link Ledgers} of this host, with what removes each temporary file. */
export interface HostLedgers extends Ledgers {
  readonly temporary: readonly Leftover[];
}

/** Reads the ledgers: the host first, and the store last, where every intent is written before it is acted on. */
export async function readLedgers(context: AuditContext): Promise<HostLedgers> {
  const { config, identity, hypervisor, audits } = context;
  const temporary = await listTemporaryFiles(config, context.temporaryDirectory);
  const traces = await hypervisor.listTraces();
  const ledgers = { hostId: identity.hostId, isDriven: audits.isDriven, traces, temporary };
  return { ...ledgers, store: await readStore(context, { traces }), now: Date.now() };
}

/** The store's side alone, read again for the same traces. */
export function readStore(context: AuditContext, { traces }: Pick<Ledgers, "traces">): Promise<StoreLedger> {
  const { domains, directories, misnamed, logs } = traces;
  return readStoreLedger(context.store, {
    hostId: context.identity.hostId,
    jobIds: [...domains, ...directories, ...misnamed].map(({ jobId }) => jobId),
    loggedJobIds: [...new Set(logs.map(({ jobId }) => jobId))],
  });
}
