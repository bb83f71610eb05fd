import { createReadStream } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { type BlobFacts, type BlobStore, blobPartBytes, checkBlobKey } from "./blob-store.ts";
import { measure } from "./measure.ts";
import { readEnd, readObjects, readUploadId, readUploads, type S3Answer } from "./s3-answers.ts";
import { createS3Client, type S3Client, type S3Place } from "./s3-client.ts";
import { awsCredentials } from "./s3-credentials.ts";
import { convertS3Error, isAbsent, isBeyondEnd, S3Error } from "./s3-errors.ts";

/** What {@link openS3Store} needs. */
export interface S3StoreOptions extends S3Place {
  /** Empty, or ends with a slash. It is this installation's alone. */
  readonly prefix: string;
  /** A directory of this host for files that are still coming. */
  readonly stagingDirectory: string;
  /** Says where credentials come from: AWS_ACCESS_KEY_ID and so on. Default: the environment of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Keys, or uploads, of one page of a list; default: 1000, the most that S3 gives. */
  readonly pageSize?: number;
}

interface Bucket {
  readonly client: S3Client;
  readonly prefix: string;
  readonly pageSize: number;
}

/**
 * Blobs as objects of a bucket that every host can read. Larger ones go as multipart uploads, which nobody sees before they
 * are complete; each part is sent from memory, so that the client can repeat it. Throws `unavailable`.
 */
export async function openS3Store(options: S3StoreOptions): Promise<BlobStore> {
  const { prefix, stagingDirectory } = options;
  await mkdir(stagingDirectory, { recursive: true, mode: 0o700 });
  const client = createS3Client(options, awsCredentials(options.environment ?? process.env));
  const bucket: Bucket = { client, prefix, pageSize: options.pageSize ?? 1000 };
  const place = `s3://${options.bucket}/${prefix}`;
  const told = <T>(work: Promise<T>): Promise<T> =>
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
      await told(put(bucket, object, inParts(chunks)));
      return result();
    },
    async adopt(key, path) {
      await stat(path);
      await told(put(bucket, objectOf(bucket, key), inParts(createReadStream(path))));
      await rm(path);
    },
    read: (key, offset = 0) => told(read(bucket, objectOf(bucket, key), offset)),
    stat: (key) => told(head(bucket, key)),
    async remove(key) {
      await told(client.send({ method: "DELETE", key: objectOf(bucket, key) }, readEnd));
    },
    list: (start) => listObjects(bucket, { start, place }),
    removeLeftovers: (before) => told(abortOld(bucket, before)),
    close: client.close,
  };
}

function objectOf({ prefix }: Bucket, key: string): string {
  return `${prefix}${checkBlobKey(key)}`;
}

/** Joins pieces to parts: all of {@link blobPartBytes} but the last, which may be empty when it is the only one. */
async function* inParts(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  let parts = 0;
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.byteLength > 0; ) {
      const piece = rest.subarray(0, blobPartBytes - bytes);
      rest = rest.subarray(piece.byteLength);
      pieces.push(piece);
      bytes += piece.byteLength;
      if (bytes < blobPartBytes) continue;
      yield Buffer.concat(pieces);
      parts += 1;
      pieces = [];
      bytes = 0;
    }
  }
  if (bytes > 0 || parts === 0) yield Buffer.concat(pieces);
}

async function put({ client }: Bucket, key: string, parts: AsyncGenerator<Buffer>): Promise<void> {
  const first = (await parts.next()).value as Buffer;
  const second = await parts.next();
  if (second.done) return client.send({ method: "PUT", key, body: first }, readEnd);
  const uploadId = await client.send({ method: "POST", key, query: { uploads: "" } }, readUploadId);
  const upload = { key, query: { uploadId } };
  try {
    const etags = [await putPart(client, upload, { number: 1, body: first })];
    etags.push(await putPart(client, upload, { number: 2, body: second.value }));
    for await (const body of parts) {
      etags.push(await putPart(client, upload, { number: etags.length + 1, body }));
    }
    await client.send({ ...upload, method: "POST", body: completion(etags) }, readEnd);
  } catch (error) {
    // What cannot be aborted now is found by its age.
    await client.send({ ...upload, method: "DELETE" }, readEnd).catch(() => {});
    throw error;
  }
}

interface Upload {
  readonly key: string;
  readonly query: { readonly uploadId: string };
}

/** Returns the part's ETag. */
function putPart(client: S3Client, upload: Upload, part: { number: number; body: Buffer }): Promise<string> {
  const query = { ...upload.query, partNumber: String(part.number) };
  return client.send({ ...upload, method: "PUT", query, body: part.body }, async (answer) => {
    await readEnd(answer);
    const etag = header(answer, "etag");
    if (etag === undefined) throw new S3Error("InvalidAnswer", answer.statusCode);
    return etag;
  });
}

/** The document that makes one object of the parts, in their order. */
function completion(etags: readonly string[]): Buffer {
  const parts = etags.map(
    (etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`,
  );
  return Buffer.from(`<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function header({ headers }: S3Answer, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function read({ client }: Bucket, key: string, offset: number): Promise<Readable | null> {
  const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
  try {
    return await client.send({ method: "GET", key, headers }, async (answer) => {
      if (offset === 0 || answer.statusCode === 206) return answer.body;
      // A server that passes over the range would send the beginning again.
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
        sizeBytes: Number(header(answer, "content-length") ?? 0),
        modifiedAt: Date.parse(header(answer, "last-modified") ?? "") || 0,
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

/** Aborts multipart uploads of a process that died. Returns how many. */
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
