import type { MessageInitShape } from "@bufbuild/protobuf";
import { ledgerNames } from "../../core/audit/ledgers.ts";
import type { FindLeaksResponseSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import type { AuditedLeak } from "./audit-state.ts";

/** What the API's FindLeaks tells of an audit, and the command line of one that it made itself. */
export function leaksView(leaks: readonly AuditedLeak[]): MessageInitShape<typeof FindLeaksResponseSchema> {
  return {
    ledgers: [...ledgerNames],
    leaks: leaks.map(({ kind, name, jobId, cause, remedy, isFixed, problem }) => ({
      ...{ kind, name, cause, remedy, problem },
      jobId: jobId ?? "",
      fixed: isFixed,
    })),
  };
}
