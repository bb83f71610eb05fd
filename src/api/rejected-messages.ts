import type { MessageInitShape } from "@bufbuild/protobuf";
import { SolsticeError } from "../core/errors.ts";
import type { ListRejectedRequest, ListRejectedResponseSchema } from "../gen/solstice/v1/jobs_pb.ts";
import { listRejectedMessages } from "../store/deliveries/rejected.ts";
import type { Store } from "../store/store.ts";

/** How many messages one answer has unless asked, and at most. */
const listDefault = 50;
const listMax = 1000;

/** The bodies of one answer, in bytes: below what a client takes as one message. Older ones then come without. */
const bodyBytesMax = 8 * 1024 * 1024;

/** The messages of the broker that were refused, newest first. Throws `limit_exceeded`. */
export async function listRejected(
  store: Store,
  request: Pick<ListRejectedRequest, "limit">,
): Promise<MessageInitShape<typeof ListRejectedResponseSchema>> {
  if (request.limit > listMax) {
    throw new SolsticeError("limit_exceeded", `At most ${listMax} messages are listed at a time.`);
  }
  const messages = await listRejectedMessages(store, request.limit || listDefault, bodyBytesMax);
  return {
    messages: messages.map((message) => ({
      id: message.id,
      receivedMs: BigInt(message.receivedAt),
      reason: message.reason,
      message: message.message,
      ...(message.requestId !== null && { requestId: message.requestId }),
      hostId: message.hostId,
      body: new Uint8Array(message.body),
      bodyBytes: BigInt(message.bodyBytes),
      times: message.times,
    })),
  };
}
