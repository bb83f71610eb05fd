import { XMLParser, XMLValidator } from "fast-xml-parser";
import type { Dispatcher } from "undici";
import { z } from "zod";
import { S3Error } from "./s3-errors.ts";

/** The server's response with its body still unread. */
export type S3Answer = Dispatcher.ResponseData;

/** An object in a list. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** In ms since the epoch. */
  readonly modifiedAt: number;
}

/** A page of a list, and the argument of the call for the next page; null after the last page. */
export interface Page<Item, Next> {
  readonly items: readonly Item[];
  readonly next: Next | null;
}

/** A multipart upload that is neither complete nor aborted. */
export interface OpenUpload {
  readonly key: string;
  readonly uploadId: string;
  /** In ms since the epoch. */
  readonly initiatedAt: number;
}

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  isArray: (name) => name === "Contents" || name === "Upload",
});

const time = z
  .string()
  .transform((text) => Date.parse(text))
  .refine(Number.isFinite);

const objectsShape = z.object({
  ListBucketResult: z.object({
    IsTruncated: z.enum(["true", "false"]).optional(),
    NextContinuationToken: z.string().optional(),
    Contents: z
      .array(
        z.object({ Key: z.string(), Size: z.string().regex(/^\d+$/).transform(Number), LastModified: time }),
      )
      .default([]),
  }),
});

const uploadsShape = z.object({
  ListMultipartUploadsResult: z.object({
    IsTruncated: z.enum(["true", "false"]).optional(),
    NextKeyMarker: z.string().optional(),
    NextUploadIdMarker: z.string().optional(),
    Upload: z.array(z.object({ Key: z.string(), UploadId: z.string(), Initiated: time })).default([]),
  }),
});

const startedShape = z.object({ InitiateMultipartUploadResult: z.object({ UploadId: z.string().min(1) }) });
const errorShape = z.object({ Error: z.object({ Code: z.string() }) });

/** Reads a page of objects. Throws `S3Error` when the page announces more objects without a continuation token. */
export async function readObjects(answer: S3Answer): Promise<Page<ListedObject, string>> {
  const { ListBucketResult: page } = await readXml(answer, objectsShape);
  if (page.IsTruncated === "true" && !page.NextContinuationToken) throw unreadable(answer);
  const items = page.Contents.map(({ Key, Size, LastModified }) => ({
    key: Key,
    sizeBytes: Size,
    modifiedAt: LastModified,
  }));
  return { items, next: page.NextContinuationToken || null };
}

/** Reads a page of open uploads; `next` holds the query's names and values for the next page. */
export async function readUploads(answer: S3Answer): Promise<Page<OpenUpload, Record<string, string>>> {
  const { ListMultipartUploadsResult: page } = await readXml(answer, uploadsShape);
  const items = page.Upload.map(({ Key, UploadId, Initiated }) => ({
    key: Key,
    uploadId: UploadId,
    initiatedAt: Initiated,
  }));
  if (page.IsTruncated !== "true") return { items, next: null };
  if (!page.NextKeyMarker) throw unreadable(answer);
  const next = { "key-marker": page.NextKeyMarker, "upload-id-marker": page.NextUploadIdMarker ?? "" };
  return { items, next };
}

/** Reads the id of a new upload. */
export async function readUploadId(answer: S3Answer): Promise<string> {
  return (await readXml(answer, startedShape)).InitiateMultipartUploadResult.UploadId;
}

/** Reads the whole body and throws the error in it, if any: S3 may fail after it sent the status 200. */
export async function readEnd(answer: S3Answer): Promise<void> {
  const code = errorCode(await answer.body.text());
  if (code !== null) throw new S3Error(code, answer.statusCode);
}

/** Converts a response without success into an error. The response to HEAD has no body, only a status. */
export async function readS3Error(answer: S3Answer): Promise<S3Error> {
  const code = errorCode(await answer.body.text());
  return new S3Error(code ?? (answer.statusCode === 404 ? "NotFound" : null), answer.statusCode);
}

function errorCode(text: string): string | null {
  const parsed = errorShape.safeParse(parseXml(text));
  return parsed.success ? parsed.data.Error.Code : null;
}

async function readXml<T>(answer: S3Answer, shape: z.ZodType<T>): Promise<T> {
  const parsed = shape.safeParse(parseXml(await answer.body.text()));
  if (parsed.success) return parsed.data;
  throw unreadable(answer);
}

/** Returns null for text that is not XML. S3 sends spaces before the document while it works. */
function parseXml(text: string): unknown {
  const document = text.trim();
  return document !== "" && XMLValidator.validate(document) === true ? parser.parse(document) : null;
}

function unreadable({ statusCode }: S3Answer): S3Error {
  return new S3Error("InvalidAnswer", statusCode);
}

/** Returns a header of a response; undefined when it is missing. */
export function headerOf({ headers }: S3Answer, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
