import { createHash } from "node:crypto";
import { sql, type Transaction } from "kysely";
import type { ErrorCode } from "../../core/errors.ts";
import { boundedLimit } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** Named limits of what is kept of refused messages: a producer that sends nonsense must not fill the store. */
export const rejectedLimits = {
  /** Of each body. */
  bodyBytes: 64 * 1024,
  /** Of each sentence that says what is wrong. */
  messageChars: 4000,
  requestIdChars: 200,
  /** Different messages; the oldest go. */
  rows: 1000,
} as const;

/** Surplus messages that one write removes: several writes at once do not see each other's. */
const removedAtOnce = 100;

/** A refused message, as it is noted. */
export interface Rejection {
  /** As far as it was read. */
  readonly body: Uint8Array;
  /** How long it was. */
  readonly bodyBytes: number;
  /** True when the broker gives it out again: then it is no new message. */
  readonly redelivered: boolean;
  readonly reason: ErrorCode;
  readonly message: string;
  /** Where one could be read. */
  readonly requestId: string | null;
  readonly hostId: string;
  /** Ms since the epoch. */
  readonly at: number;
}

/** A refused message, as it is kept. */
export interface RejectedMessage {
  /** SHA-256 (hex) of the whole body. */
  readonly id: string;
  /** When it came last, ms since the epoch. */
  readonly receivedAt: number;
  readonly reason: string;
  readonly message: string;
  readonly requestId: string | null;
  readonly hostId: string;
  /** Its beginning. */
  readonly body: Uint8Array;
  /** How long it was. */
  readonly bodyBytes: number;
  readonly times: number;
}

/** Notes a refused message. The same body again is one row that counts; the oldest rows go when there are too many. */
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

/** It quotes a stranger's message: PostgreSQL takes neither NUL nor half a character. */
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
 * The messages that were refused, newest first. Bodies are read until they have `bodyBytes` together; messages behind that
 * come with an empty one.
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

/** The ids of the first rows, as many as have at most so many bytes together. */
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
