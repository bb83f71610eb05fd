import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ListRejectedRequest, ListRejectedResponseSchema } from "../gen/solstice/v1/jobs_pb.ts";
import type { Store } from "../store/store.ts";

/** The messages of the broker that were refused, newest first. */
export async function listRejected(
  _store: Store,
  _request: ListRejectedRequest,
): Promise<MessageInitShape<typeof ListRejectedResponseSchema>> {
  return { messages: [] };
}
