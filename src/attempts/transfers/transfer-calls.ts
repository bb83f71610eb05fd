import { SolsticeError } from "../../core/errors.ts";
import type {
  AppendUploadRequest,
  BeginUploadRequest,
  FinishUploadRequest,
} from "../../gen/solstice/v1/runner_pb.ts";
import { mustStop, type RunnerSession } from "../runner-sessions.ts";
import type { Transfers, UploadProgress } from "./transfers.ts";

/** Maximum bytes of one AppendUpload. */
const appendBytes = 1024 * 1024;

function answer({ job }: RunnerSession, { received, stored }: UploadProgress) {
  return { received: BigInt(received), stored, stop: mustStop(job) };
}

/** BeginUpload of an authenticated runner. */
export async function beginUploadCall(
  transfers: Transfers,
  session: RunnerSession,
  request: BeginUploadRequest,
) {
  const { kind, name, size } = request;
  const file = { kind, name, sizeBytes: byteCount(size, "size") };
  const progress = await transfers.begin(session, file);
  return { ...answer(session, progress), uploadId: progress.uploadId, refusal: progress.refusal };
}

/** AppendUpload of an authenticated runner. */
export async function appendUploadCall(
  transfers: Transfers,
  session: RunnerSession,
  request: AppendUploadRequest,
) {
  const { uploadId, data } = request;
  if (data.length > appendBytes) {
    throw new SolsticeError("limit_exceeded", `At most ${appendBytes} bytes per call.`);
  }
  async function* chunks() {
    yield data;
  }
  const offset = byteCount(request.offset, "offset");
  return answer(session, await transfers.append(session, { uploadId, offset, chunks: chunks() }));
}

/** FinishUpload of an authenticated runner. */
export async function finishUploadCall(
  transfers: Transfers,
  session: RunnerSession,
  request: FinishUploadRequest,
) {
  return answer(session, await transfers.finish(session, request));
}

/**
 * Converts a byte count from the wire to a number. Refuses counts that JavaScript cannot represent exactly.
 */
export function byteCount(value: bigint, field: string): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new SolsticeError("usage", `${field} is beyond ${Number.MAX_SAFE_INTEGER}.`);
}
