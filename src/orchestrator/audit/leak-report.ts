import type { MessageInitShape } from "@bufbuild/protobuf";
import { type InventoryName, inventoryNames } from "../../core/audit/inventories.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { FindLeaksResponseSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { audit } from "./audit.ts";
import { auditBlobs, type BlobAuditContext } from "./audit-blobs.ts";
import type { AuditedLeak } from "./audit-state.ts";
import type { AuditContext } from "./read-inventories.ts";

/**
 * The dependencies of {@link reportLeaks}. `blobs` is the configured blob store, or the error of opening it.
 */
export interface LeakReportContext extends AuditContext, Omit<BlobAuditContext, "blobs"> {
  readonly blobs: BlobAuditContext["blobs"] | SolsticeError;
}

/**
 * Makes the complete report of a host, for the API's FindLeaks, and for the command line when no orchestrator
 * runs. An unreadable inventory of blobs does not stop the rest: the report names it, with the reason.
 */
export async function reportLeaks(
  context: LeakReportContext,
  options: { fix: boolean },
): Promise<MessageInitShape<typeof FindLeaksResponseSchema>> {
  const leaks = await audit(context, options);
  const { blobs } = context;
  const blobAudit =
    blobs instanceof SolsticeError
      ? { leaks: [], problem: blobs.message }
      : await auditBlobs({ ...context, blobs }, options);
  const unread: readonly InventoryName[] = blobAudit.problem === null ? [] : ["blobs"];
  return {
    inventories: inventoryNames.filter((name) => !unread.includes(name)),
    leaks: [...leaks, ...blobAudit.leaks].map(toMessage),
    unread: unread.map((inventory) => ({ inventory, problem: blobAudit.problem ?? "" })),
  };
}

function toMessage({ kind, name, jobId, cause, remedy, isFixed, problem }: AuditedLeak) {
  return { ...{ kind, name, cause, remedy, problem }, jobId: jobId ?? "", fixed: isFixed };
}
