import { XMLParser, XMLValidator } from "fast-xml-parser";
import type { Dispatcher } from "undici";
import { z } from "zod";
import { S3Error } from "./s3-errors.ts";

/** An answer of the server, whose body has not been read. */
export type S3Answer = Dispatcher.ResponseData;

/** An object of a list. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** Ms since the epoch. */
  readonly modifiedAt: number;
}

/** A page of a list, and what the call for the next one needs; null: there is none. */
export interface Page<Item, Next> {
  readonly items: readonly Item[];
  readonly next: Next | null;
}

/** A multipart upload that is neither complete nor aborted. */
export interface OpenUpload {
  readonly key: string;
  readonly uploadId: string;
  /** Ms since the epoch. */
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

/** A page of the objects. Throws `S3Error` when the page says that there are more, but not how they are had. */
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

/** A page of the open uploads; its `next` has the names and values of the query for the next page. */
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

/** The id of an upload that was started. */
export async function readUploadId(answer: S3Answer): Promise<string> {
  return (await readXml(answer, startedShape)).InitiateMultipartUploadResult.UploadId;
}

/** Reads the whole body and throws an error that stands in it: S3 may find one after it sent the status 200. */
export async function readEnd(answer: S3Answer): Promise<void> {
  const code = errorCode(await answer.body.text());
  if (code !== null) throw new S3Error(code, answer.statusCode);
}

/** What an answer says that is no success. A HEAD has no body: its status has to do. */
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

/** Null for what is no XML. S3 sends spaces before the document while it works. */
function parseXml(text: string): unknown {
  const document = text.trim();
  return document !== "" && XMLValidator.validate(document) === true ? parser.parse(document) : null;
}

function unreadable({ statusCode }: S3Answer): S3Error {
  return new S3Error("InvalidAnswer", statusCode);
}

/** A header of an answer; undefined where it has none of that name. */
export function headerOf({ headers }: S3Answer, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
