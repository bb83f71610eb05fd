import { createReadStream } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { type BlobFacts, type BlobStore, blobPartBytes, checkBlobKey } from "./blob-store.ts";
import { measure } from "./measure.ts";
import { convertS3Error, isAbsent } from "./s3-errors.ts";

/** What {@link openS3Store} needs. Credentials come from where the AWS client library looks: AWS_ACCESS_KEY_ID and so on. */
export interface S3StoreOptions {
  readonly bucket: string;
  /** Empty, or ends with a slash. It is this installation's alone. */
  readonly prefix: string;
  /** Null: AWS, in the region. */
  readonly endpoint: string | null;
  readonly region: string;
  /** A directory of this host for files that are still coming. */
  readonly stagingDirectory: string;
}

/** How long connecting may take, and how long an answer may be silent, in ms; and how often a call is tried. */
const connectionTimeoutMs = 10_000;
const requestTimeoutMs = 60_000;
const tries = 3;

/** Keys, or uploads, of one page of a list. */
const pageSize = 1000;

interface Bucket {
  readonly client: S3Client;
  readonly Bucket: string;
  readonly prefix: string;
}

/**
 * Blobs as objects of a bucket that every host can read. Larger ones go as multipart uploads, which nobody sees before they
 * are complete; each part is sent from memory, so that the library can repeat it. Throws `unavailable`.
 */
export async function openS3Store(options: S3StoreOptions): Promise<BlobStore> {
  const { prefix, stagingDirectory } = options;
  await mkdir(stagingDirectory, { recursive: true, mode: 0o700 });
  const client = createClient(options);
  const bucket: Bucket = { client, Bucket: options.bucket, prefix };
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
      await told(client.send(new DeleteObjectCommand({ Bucket: bucket.Bucket, Key: objectOf(bucket, key) })));
    },
    list: (start) => listObjects(bucket, { start, place }),
    removeLeftovers: (before) => told(abortOld(bucket, before)),
    close: () => client.destroy(),
  };
}

function createClient({ endpoint, region }: S3StoreOptions): S3Client {
  return new S3Client({
    region,
    maxAttempts: tries,
    requestHandler: { connectionTimeout: connectionTimeoutMs, requestTimeout: requestTimeoutMs },
    // Bucket names as parts of a host name need DNS that a server of one's own seldom has.
    ...(endpoint !== null && { endpoint, forcePathStyle: true }),
    // Checksums that only AWS knows: other servers refuse them, or store them as a part of the object.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
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

async function put(bucket: Bucket, Key: string, parts: AsyncGenerator<Buffer>): Promise<void> {
  const first = (await parts.next()).value as Buffer;
  const second = await parts.next();
  const { client, Bucket } = bucket;
  if (second.done) {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: first, ContentLength: first.length }));
    return;
  }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const upload = { Bucket, Key, UploadId };
  try {
    const sent = [await putPart(client, upload, { PartNumber: 1, Body: first })];
    sent.push(await putPart(client, upload, { PartNumber: 2, Body: second.value }));
    for await (const Body of parts) {
      sent.push(await putPart(client, upload, { PartNumber: sent.length + 1, Body }));
    }
    await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: sent } }));
  } catch (error) {
    // What cannot be aborted now is found by its age.
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => {});
    throw error;
  }
}

interface OpenUpload {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string | undefined;
}

async function putPart(client: S3Client, upload: OpenUpload, part: { PartNumber: number; Body: Buffer }) {
  const command = new UploadPartCommand({ ...upload, ...part, ContentLength: part.Body.length });
  const { ETag } = await client.send(command);
  return { ETag, PartNumber: part.PartNumber };
}

async function read({ client, Bucket }: Bucket, Key: string, offset: number): Promise<Readable | null> {
  try {
    const range = offset > 0 ? { Range: `bytes=${offset}-` } : {};
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, ...range }));
    return (Body as Readable | undefined) ?? null;
  } catch (error) {
    if (isAbsent(error)) return null;
    if (isBeyondEnd(error)) return emptyStream();
    throw error;
  }
}

async function emptyStream(): Promise<Readable> {
  const { Readable } = await import("node:stream");
  return Readable.from([]);
}

function isBeyondEnd(error: unknown): boolean {
  return error instanceof Error && error.name === "InvalidRange";
}

async function head(bucket: Bucket, key: string): Promise<BlobFacts | null> {
  const { client, Bucket } = bucket;
  try {
    const facts = await client.send(new HeadObjectCommand({ Bucket, Key: objectOf(bucket, key) }));
    return { key, sizeBytes: facts.ContentLength ?? 0, modifiedAt: facts.LastModified?.getTime() ?? 0 };
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

async function* listObjects(
  { client, Bucket, prefix }: Bucket,
  { start, place }: { start: string; place: string },
): AsyncGenerator<BlobFacts> {
  let after: string | undefined;
  do {
    const command = new ListObjectsV2Command({
      Bucket,
      Prefix: `${prefix}${start}`,
      MaxKeys: pageSize,
      ContinuationToken: after,
    });
    const page = await client.send(command).catch((error: unknown) => {
      throw convertS3Error(error, place);
    });
    for (const { Key = "", Size = 0, LastModified } of page.Contents ?? []) {
      yield { key: Key.slice(prefix.length), sizeBytes: Size, modifiedAt: LastModified?.getTime() ?? 0 };
    }
    after = page.NextContinuationToken;
  } while (after !== undefined);
}

/** Aborts multipart uploads of a process that died. Returns how many. */
async function abortOld({ client, Bucket, prefix }: Bucket, before: number): Promise<number> {
  let aborted = 0;
  let place: { KeyMarker: string | undefined; UploadIdMarker: string | undefined } | null = null;
  do {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
      Bucket,
      Prefix: prefix,
      MaxUploads: pageSize,
      ...place,
    });
    const page = await client.send(command);
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if ((Initiated?.getTime() ?? 0) >= before) continue;
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
      aborted += 1;
    }
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    place = page.IsTruncated ? { KeyMarker, UploadIdMarker } : null;
  } while (place !== null);
  return aborted;
}
