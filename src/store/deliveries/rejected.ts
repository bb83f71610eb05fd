import { createHash } from "node:crypto";
import { sql, type Transaction } from "kysely";
import type { ErrorCode } from "../../core/errors.ts";
import { boundedLimit } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** Limits of stored refused messages: a producer of invalid messages must not fill the store. */
export const rejectedLimits = {
  /** Bytes of each body. */
  bodyBytes: 64 * 1024,
  /** Characters of each error sentence. */
  messageChars: 4000,
  requestIdChars: 200,
  /** Different messages; the oldest are removed. */
  rows: 1000,
} as const;

/** Surplus messages that one write removes; more than one, since concurrent writes do not see each other's messages. */
const removedAtOnce = 100;

/** A refused message to record. */
export interface Rejection {
  /** The part of the body that was read. */
  readonly body: Uint8Array;
  /** Length of the whole body. */
  readonly bodyBytes: number;
  /** True when the broker delivers the message again: then it is not a new message. */
  readonly redelivered: boolean;
  readonly reason: ErrorCode;
  readonly message: string;
  /** Null when no id could be read. */
  readonly requestId: string | null;
  readonly hostId: string;
  /** Ms since the epoch. */
  readonly at: number;
}

/** A refused message as stored. */
export interface RejectedMessage {
  /** SHA-256 (hex) of the whole body. */
  readonly id: string;
  /** When it last arrived, ms since the epoch. */
  readonly receivedAt: number;
  readonly reason: string;
  readonly message: string;
  readonly requestId: string | null;
  readonly hostId: string;
  /** The beginning of the body. */
  readonly body: Uint8Array;
  /** Length of the whole body. */
  readonly bodyBytes: number;
  readonly times: number;
}

/**
 * Records a refused message. A repeated body increments the count of its row; the oldest rows are removed when there
 * are too many.
 */
export async function recordRejected(store: Store, rejection: Rejection): Promise<void> {
  await store.write(async (trx) => {
    const row = rowOf(rejection);
    const again = rejection.redelivered ? 0 : 1;
    await trx
      .insertInto("rejected_messages")
      .values(row)
      .onConflict((conflict) =>
        conflict.column("id").doUpdateSet({
          received_at: row.received_at,
          reason: row.reason,
          message: row.message,
          host_id: row.host_id,
          times: sql<number>`rejected_messages.times + ${again}`,
        }),
      )
      .execute();
    await removeSurplus(trx);
  });
}

function rowOf(rejection: Rejection) {
  const { body } = rejection;
  return {
    id: createHash("sha256").update(body).digest("hex"),
    received_at: rejection.at,
    reason: rejection.reason,
    message: storable(rejection.message, rejectedLimits.messageChars),
    request_id:
      rejection.requestId === null ? null : storable(rejection.requestId, rejectedLimits.requestIdChars),
    host_id: rejection.hostId,
    body: body.subarray(0, rejectedLimits.bodyBytes),
    body_bytes: rejection.bodyBytes,
    times: 1,
  };
}

/** Makes untrusted text storable: PostgreSQL refuses NUL and unpaired surrogates. */
function storable(text: string, limit: number): string {
  return text.slice(0, limit).toWellFormed().replaceAll("\0", "\ufffd");
}

async function removeSurplus(trx: Transaction<Database>): Promise<void> {
  const surplus = await trx
    .selectFrom("rejected_messages")
    .select("id")
    .orderBy("received_at", "desc")
    .orderBy("id", "desc")
    .offset(rejectedLimits.rows)
    .limit(removedAtOnce)
    .execute();
  if (surplus.length === 0) return;
  const ids = surplus.map((row) => row.id);
  await trx.deleteFrom("rejected_messages").where("id", "in", ids).execute();
}

/**
 * The refused messages, newest first. Bodies are read up to `bodyBytes` in total; later messages have an empty body.
 */
export async function listRejectedMessages(
  store: Store,
  limit: number,
  bodyBytes = Number.POSITIVE_INFINITY,
): Promise<RejectedMessage[]> {
  const rows = await store.db
    .selectFrom("rejected_messages")
    .select(["id", "received_at", "reason", "message", "request_id", "host_id", "body_bytes", "times"])
    .select(sql<number>`length(body)`.as("kept_bytes"))
    .orderBy("received_at", "desc")
    .orderBy("id", "desc")
    .limit(boundedLimit(limit))
    .execute();
  const bodies = await bodiesOf(store, within(rows, bodyBytes));
  return rows.map((row) => ({
    id: row.id,
    receivedAt: row.received_at,
    reason: row.reason,
    message: row.message,
    requestId: row.request_id,
    hostId: row.host_id,
    body: bodies.get(row.id) ?? new Uint8Array(),
    bodyBytes: row.body_bytes,
    times: row.times,
  }));
}

/** The ids of the first rows that have at most `bytes` bytes in total. */
function within(
  rows: readonly { readonly id: string; readonly kept_bytes: number }[],
  bytes: number,
): string[] {
  let left = bytes;
  const end = rows.findIndex((row) => {
    left -= row.kept_bytes;
    return left < 0;
  });
  return rows.slice(0, end < 0 ? rows.length : end).map(({ id }) => id);
}

async function bodiesOf(store: Store, ids: readonly string[]): Promise<Map<string, Uint8Array>> {
  if (ids.length === 0) return new Map();
  const rows = await store.db
    .selectFrom("rejected_messages")
    .select(["id", "body"])
    .where("id", "in", ids)
    .execute();
  return new Map(rows.map(({ id, body }) => [id, body]));
}
