import { blobPartBytes } from "./blob-store.ts";
import { headerOf, readEnd, readUploadId } from "./s3-answers.ts";
import type { S3Client } from "./s3-client.ts";
import { S3Error } from "./s3-errors.ts";

/**
 * Joins chunks to parts of {@link blobPartBytes}; only the last part is shorter, and empty only when it is the only
 * part.
 */
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

/**
 * Stores an object. An object larger than one part is sent as a multipart upload, which stays invisible until it is
 * complete. Each part is sent from memory, so that the client can retry it.
 */
export async function putObject(
  client: S3Client,
  key: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const parts = inParts(chunks);
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
    // An upload that cannot be aborted now is found later by its age.
    await client.send({ ...upload, method: "DELETE" }, readEnd).catch(() => {});
    throw error;
  }
}

interface Upload {
  readonly key: string;
  readonly query: { readonly uploadId: string };
}

/** Uploads a part and returns its ETag. */
function putPart(client: S3Client, upload: Upload, part: { number: number; body: Buffer }): Promise<string> {
  const query = { ...upload.query, partNumber: String(part.number) };
  return client.send({ ...upload, method: "PUT", query, body: part.body }, async (answer) => {
    await readEnd(answer);
    const etag = headerOf(answer, "etag");
    if (etag === undefined) throw new S3Error("InvalidAnswer", answer.statusCode);
    return etag;
  });
}

/** The XML document that joins the parts, in their order, into one object. */
function completion(etags: readonly string[]): Buffer {
  const parts = etags.map(
    (etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`,
  );
  return Buffer.from(`<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
