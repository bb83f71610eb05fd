import { createReadStream } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { type BlobFacts, type BlobStore, checkBlobKey } from "./blob-store.ts";
import { measure } from "./measure.ts";
import { headerOf, readEnd, readObjects, readUploads } from "./s3-answers.ts";
import { createS3Client, type S3Client, type S3Place } from "./s3-client.ts";
import { awsCredentials } from "./s3-credentials.ts";
import { convertS3Error, isAbsent, isBeyondEnd, S3Error } from "./s3-errors.ts";
import { putObject } from "./s3-upload.ts";

/** Options of {@link openS3Store}. */
export interface S3StoreOptions extends S3Place {
  /** Empty, or ends with a slash. Used by this installation only. */
  readonly prefix: string;
  /** A directory of this host for files that are still being received. */
  readonly stagingDirectory: string;
  /** Environment with the credentials (AWS_ACCESS_KEY_ID and so on). Default: the environment of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Keys or uploads per page of a list; default 1000, the largest page of S3. */
  readonly pageSize?: number;
}

interface Bucket {
  readonly client: S3Client;
  readonly prefix: string;
  readonly pageSize: number;
}

/** Opens a store of objects in a bucket that every host can read. Throws `unavailable`. */
export async function openS3Store(options: S3StoreOptions): Promise<BlobStore> {
  const { prefix, stagingDirectory } = options;
  await mkdir(stagingDirectory, { recursive: true, mode: 0o700 });
  const client = createS3Client(options, awsCredentials(options.environment ?? process.env));
  const bucket: Bucket = { client, prefix, pageSize: options.pageSize ?? 1000 };
  const place = `s3://${options.bucket}/${prefix}`;
  const reported = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw convertS3Error(error, place);
    });
  return {
    place,
    isShared: true,
    stagingDirectory,
    async write(key, source, writeOptions) {
      const object = objectOf(bucket, key);
      const { chunks, result } = measure(source, writeOptions);
      await reported(putObject(client, object, chunks));
      return result();
    },
    async adopt(key, path) {
      await stat(path);
      await reported(putObject(client, objectOf(bucket, key), createReadStream(path)));
      await rm(path);
    },
    read: (key, offset = 0) => reported(read(bucket, objectOf(bucket, key), offset)),
    stat: (key) => reported(head(bucket, key)),
    async remove(key) {
      await reported(client.send({ method: "DELETE", key: objectOf(bucket, key) }, readEnd));
    },
    list: (start) => listObjects(bucket, { start, place }),
    removeLeftovers: (before) => reported(abortOld(bucket, before)),
    close: client.close,
  };
}

function objectOf({ prefix }: Bucket, key: string): string {
  return `${prefix}${checkBlobKey(key)}`;
}

async function read({ client }: Bucket, key: string, offset: number): Promise<Readable | null> {
  const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
  try {
    return await client.send({ method: "GET", key, headers }, async (answer) => {
      if (offset === 0 || answer.statusCode === 206) return answer.body;
      // A server that ignores the range would send the beginning again.
      await answer.body.dump();
      throw new S3Error("RangeIgnored", answer.statusCode);
    });
  } catch (error) {
    if (isAbsent(error)) return null;
    if (isBeyondEnd(error)) return Readable.from([]);
    throw error;
  }
}

async function head(bucket: Bucket, key: string): Promise<BlobFacts | null> {
  try {
    return await bucket.client.send({ method: "HEAD", key: objectOf(bucket, key) }, async (answer) => {
      await answer.body.dump();
      return {
        key,
        sizeBytes: Number(headerOf(answer, "content-length") ?? 0),
        modifiedAt: Date.parse(headerOf(answer, "last-modified") ?? "") || 0,
      };
    });
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

async function* listObjects(
  { client, prefix, pageSize }: Bucket,
  { start, place }: { start: string; place: string },
): AsyncGenerator<BlobFacts> {
  const first = { "list-type": "2", prefix: `${prefix}${start}`, "max-keys": String(pageSize) };
  let after: string | null = null;
  do {
    const query: Record<string, string> = after === null ? first : { ...first, "continuation-token": after };
    const page = await client.send({ method: "GET", query }, readObjects).catch((error: unknown) => {
      throw convertS3Error(error, place);
    });
    for (const facts of page.items) yield { ...facts, key: facts.key.slice(prefix.length) };
    after = page.next;
  } while (after !== null);
}

/** Aborts multipart uploads of crashed processes. Returns their number. */
async function abortOld({ client, prefix, pageSize }: Bucket, before: number): Promise<number> {
  let aborted = 0;
  let from: Record<string, string> | null = {};
  while (from !== null) {
    const query: Record<string, string> = { uploads: "", prefix, "max-uploads": String(pageSize), ...from };
    const page = await client.send({ method: "GET", query }, readUploads);
    for (const { key, uploadId, initiatedAt } of page.items) {
      if (initiatedAt >= before) continue;
      await client.send({ method: "DELETE", key, query: { uploadId } }, readEnd);
      aborted += 1;
    }
    from = page.next;
  }
  return aborted;
}
