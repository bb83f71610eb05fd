import { type ExpressionBuilder, type Selectable, sql, type Transaction } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import { jobUnderWay } from "../jobs/fence.ts";
import type { AttemptKey } from "../keys.ts";
import type { Database, UploadsTable } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** Identifies one file that a guest sends. */
export interface UploadKey extends AttemptKey {
  /** Our id, made from the kind of the file and its name: the same file again is the same upload. */
  readonly id: string;
}

/** A file that a guest sends or has sent. */
export interface Upload extends UploadKey {
  /** The purpose, such as `artifact`. */
  readonly kind: string;
  /** The guest's name for the file: metadata, never used as a path. */
  readonly name: string;
  readonly sizeBytes: number;
  /** The key of its bytes once they are complete. */
  readonly blobKey: string;
  /** The only host that can read the blob; null where every host can. */
  readonly blobHostId: string | null;
  readonly begunAt: number;
  /** SHA-256 (hex); set once all bytes have arrived. */
  readonly sha256: string | null;
  /** When its blob was complete, ms since the epoch; null before. */
  readonly storedAt: number | null;
  /** When its blob was removed or found missing; null while it exists. */
  readonly expiredAt: number | null;
}

/** Uploads of one kind that count against a limit. */
export interface UploadSum {
  readonly count: number;
  readonly bytes: number;
}

/**
 * Records that a guest is about to send a file, before any of its bytes is stored, or finds the earlier record. An
 * upload of another size replaces one that was never completed. `decide` gets the sum of the attempt's uploads; when it
 * returns false, nothing is written and null is returned. Throws `conflict` when the attempt is over.
 */
export async function beginUpload(
  store: Store,
  upload: Omit<Upload, "sha256" | "storedAt" | "expiredAt">,
  decide: (attempt: UploadSum) => boolean,
): Promise<{ readonly upload: Upload; readonly isNew: boolean } | null> {
  return store.write(async (trx) => {
    await holdAttempt(store, trx, upload);
    const earlier = await find(trx, upload);
    if (earlier && (earlier.storedAt !== null || earlier.sizeBytes === upload.sizeBytes)) {
      return { upload: earlier, isNew: false };
    }
    if (earlier) await deleteWithin(trx, upload);
    if (!decide(await sumOfAttempt(trx, upload))) return null;
    await trx.insertInto("uploads").values(toRow(upload)).execute();
    return { upload: { ...upload, sha256: null, storedAt: null, expiredAt: null }, isNew: true };
  });
}

/** An upload, or null. */
export function getUpload(store: Store, key: UploadKey): Promise<Upload | null> {
  return find(store.db, key);
}

/** Records the digest before the blob exists, so that a process that finds the blob after a crash can identify it. */
export async function recordDigest(store: Store, key: UploadKey & { sha256: string }): Promise<void> {
  await store.write(async (trx) => {
    await trx
      .updateTable("uploads")
      .set({ sha256: key.sha256 })
      .where(isUpload(key))
      .where("stored_at", "is", null)
      .execute();
  });
}

/**
 * Records that an upload's blob is complete. `record` adds its own writes to the same transaction, and is called once.
 * A repeat changes nothing. Throws `conflict` when the attempt is over.
 */
export async function recordStored(
  store: Store,
  key: UploadKey & { at: number },
  record: (trx: Transaction<Database>) => Promise<void>,
): Promise<void> {
  await store.write(async (trx, announce) => {
    await holdAttempt(store, trx, key);
    const result = await trx
      .updateTable("uploads")
      .set({ stored_at: key.at })
      .where(isUpload(key))
      .where("stored_at", "is", null)
      .executeTakeFirst();
    if (result.numUpdatedRows === 0n) return;
    await record(trx);
    announce({ kind: "job", jobId: key.jobId });
  });
}

/** Maximum number of files of an attempt that are listed. */
const maxUploadsListed = 5000;

/** The complete files of a kind that an attempt sent, by name. */
export async function listUploads(store: Store, key: AttemptKey & { kind: string }): Promise<Upload[]> {
  const rows = await store.db
    .selectFrom("uploads")
    .selectAll()
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .where("kind", "=", key.kind)
    .where("stored_at", "is not", null)
    .orderBy("id")
    .limit(maxUploadsListed)
    .execute();
  return rows.map(toUpload).sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Uploads of one page of {@link listKeptUploads}. */
const pageSize = 500;

/**
 * Complete files of a kind that are stored in a place and were completed before `before`, oldest first: one page, after
 * `after`. Call again with the last file until a page is empty.
 */
export async function listKeptUploads(
  store: Store,
  range: { kind: string; blobHostId: string | null; before: number; after: Upload | null },
): Promise<Upload[]> {
  const { kind, blobHostId, before, after } = range;
  const kept = store.db
    .selectFrom("uploads")
    .selectAll()
    .where(isPlaced({ kind, blobHostId }))
    .where("expired_at", "is", null)
    .where("stored_at", "<", before);
  const rest =
    after === null
      ? kept
      : kept
          .where("stored_at", ">=", after.storedAt ?? 0)
          .where(sql<boolean>`(stored_at, blob_key) > (${after.storedAt ?? 0}, ${after.blobKey})`);
  const rows = await rest.orderBy("stored_at").orderBy("blob_key").limit(pageSize).execute();
  return rows.map(toUpload);
}

/** A page of the incomplete uploads of a kind to a place, of any attempt. */
export async function listUnfinishedUploads(
  store: Store,
  place: { kind: string; blobHostId: string | null },
): Promise<Upload[]> {
  const { kind, blobHostId } = place;
  const rows = await store.db
    .selectFrom("uploads")
    .selectAll()
    .where(isPlaced({ kind, blobHostId }))
    .where("expired_at", "is", null)
    .where("stored_at", "is", null)
    .limit(pageSize)
    .execute();
  return rows.map(toUpload);
}

/** Records that an upload's bytes were gone at `at`. */
export async function expireUpload(store: Store, key: UploadKey & { at: number }): Promise<void> {
  await store.write(async (trx) => {
    await trx
      .updateTable("uploads")
      .set({ expired_at: key.at })
      .where(isUpload(key))
      .where("expired_at", "is", null)
      .execute();
  });
}

/** Bytes of all files of a kind that are stored on a host (null: in storage shared by all hosts), complete or not. */
export async function sumStored(store: Store, kind: string, blobHostId: string | null): Promise<number> {
  const row = await store.db
    .selectFrom("uploads")
    .select((expression) => expression.fn.sum<number | string>("size_bytes").as("bytes"))
    .where(isPlaced({ kind, blobHostId }))
    .where("expired_at", "is", null)
    .executeTakeFirst();
  return Number(row?.bytes ?? 0);
}

/** Condition: the row is that upload. */
function isUpload({ jobId, attempt, id }: UploadKey) {
  return (row: ExpressionBuilder<Database, "uploads">) => row.and({ job_id: jobId, attempt, id });
}

/** Condition: the row's blob is of a kind and in a place. */
function isPlaced({ kind, blobHostId }: Pick<Upload, "kind" | "blobHostId">) {
  return (row: ExpressionBuilder<Database, "uploads">) =>
    row.and([row("kind", "=", kind), row("blob_host_id", blobHostId === null ? "is" : "=", blobHostId)]);
}

/** Keeps the attempt in progress until the commit, or throws `conflict`. */
async function holdAttempt(store: Store, trx: Transaction<Database>, key: AttemptKey): Promise<void> {
  const underWay = jobUnderWay(store, key).as("under_way");
  const job = await trx.selectFrom(underWay).select("under_way.id").executeTakeFirst();
  if (job !== undefined) return;
  const { attempt, jobId } = key;
  throw new SolsticeError(
    "conflict",
    `Attempt ${attempt} of job ${jobId} is over; it accepts no more files.`,
  );
}

async function find(db: Store["db"] | Transaction<Database>, key: UploadKey): Promise<Upload | null> {
  const row = await db.selectFrom("uploads").selectAll().where(isUpload(key)).executeTakeFirst();
  return row === undefined ? null : toUpload(row);
}

async function deleteWithin(trx: Transaction<Database>, key: UploadKey): Promise<void> {
  await trx.deleteFrom("uploads").where(isUpload(key)).execute();
}

async function sumOfAttempt(
  trx: Transaction<Database>,
  upload: AttemptKey & { kind: string },
): Promise<UploadSum> {
  const row = await trx
    .selectFrom("uploads")
    .select([
      sql<number | string>`count(*)`.as("count"),
      sql<number | string>`coalesce(sum(size_bytes), 0)`.as("bytes"),
    ])
    .where("job_id", "=", upload.jobId)
    .where("attempt", "=", upload.attempt)
    .where("kind", "=", upload.kind)
    .executeTakeFirstOrThrow();
  return { count: Number(row.count), bytes: Number(row.bytes) };
}

function toRow(upload: Omit<Upload, "sha256" | "storedAt" | "expiredAt">) {
  return {
    job_id: upload.jobId,
    attempt: upload.attempt,
    id: upload.id,
    kind: upload.kind,
    name: upload.name,
    size_bytes: upload.sizeBytes,
    blob_key: upload.blobKey,
    blob_host_id: upload.blobHostId,
    begun_at: upload.begunAt,
  };
}

/** A row of `uploads`. */
function toUpload(row: Selectable<UploadsTable>): Upload {
  return {
    jobId: row.job_id,
    attempt: row.attempt,
    id: row.id,
    kind: row.kind,
    name: row.name,
    sizeBytes: row.size_bytes,
    blobKey: row.blob_key,
    blobHostId: row.blob_host_id,
    begunAt: row.begun_at,
    sha256: row.sha256,
    storedAt: row.stored_at,
    expiredAt: row.expired_at,
  };
}
