import type { MessageInitShape } from "@bufbuild/protobuf";
import { SolsticeError } from "../core/errors.ts";
import type { ListRejectedRequest, ListRejectedResponseSchema } from "../gen/solstice/v1/jobs_pb.ts";
import { listRejectedMessages } from "../store/deliveries/rejected.ts";
import type { Store } from "../store/store.ts";

/** Default and maximum number of messages in one answer. */
const listDefault = 50;
const listMax = 1000;

/**
 * Maximum total size of the bodies in one answer, in bytes: below the message limit of clients. Older
 * messages then have no body.
 */
const bodyBytesMax = 8 * 1024 * 1024;

/** Lists the rejected messages of the broker, newest first. Throws `limit_exceeded`. */
export async function listRejected(
  store: Store,
  request: Pick<ListRejectedRequest, "limit">,
): Promise<MessageInitShape<typeof ListRejectedResponseSchema>> {
  if (request.limit > listMax) {
    throw new SolsticeError("limit_exceeded", `At most ${listMax} messages are listed per call.`);
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
