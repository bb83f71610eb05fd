import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AwsV4Signer } from "aws4fetch";
import { Agent, request } from "undici";
import { withoutTrailing } from "../core/text/text-ends.ts";
import { readS3Error, type S3Answer } from "./s3-answers.ts";
import type { CredentialSource } from "./s3-credentials.ts";
import { isTransient } from "./s3-errors.ts";

/** One call of the S3 API. */
export interface S3Call {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Absent: the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** Calls one bucket. Throws `S3Error` for what the server refuses, and undici's errors for a server that is away. */
export interface S3Client {
  /** `read` takes what it needs of the answer, all of its body included: when it fails, the call is tried again. */
  send<T>(call: S3Call, read: (answer: S3Answer) => Promise<T>): Promise<T>;
  close(): void;
}

/** Where the bucket is. */
export interface S3Place {
  readonly bucket: string;
  /** Null: AWS, in the region. */
  readonly endpoint: string | null;
  readonly region: string;
}

/** How long connecting may take, and how long an answer may be silent, in ms. */
const connectTimeoutMs = 10_000;
const silenceTimeoutMs = 60_000;
const connectionsMax = 50;

/** How often a call is tried, and the longest pause before the second try, in ms; it doubles with each try. */
const tries = 3;
const firstPauseMs = 100;

/** A client with connections of its own, which `close` ends. */
export function createS3Client(place: S3Place, credentials: CredentialSource): S3Client {
  const dispatcher = new Agent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: silenceTimeoutMs,
    bodyTimeout: silenceTimeoutMs,
    connections: connectionsMax,
  });
  const bucketUrl = urlOfBucket(place);
  return {
    async send(call, read) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          const signed = await sign(call, { bucketUrl, region: place.region, credentials });
          return await read(await sendOnce(signed, dispatcher));
        } catch (error) {
          if (attempt === tries || !isTransient(error)) throw error;
          await delay(Math.random() * firstPauseMs * 2 ** (attempt - 1));
        }
      }
    },
    close: () => void dispatcher.destroy(),
  };
}

/**
 * The bucket's URL, with a slash at its end. A server of one's own seldom has the DNS for bucket names as host names, and the
 * certificate of AWS does not cover bucket names with dots: these get the bucket as a part of the path.
 */
export function urlOfBucket({ bucket, endpoint, region }: S3Place): string {
  if (endpoint !== null) return `${withoutTrailing(endpoint, "/")}/${bucket}/`;
  const host = `s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
  return bucket.includes(".") ? `https://${host}/${bucket}/` : `https://${bucket}.${host}/`;
}

interface SignedRequest {
  readonly url: URL;
  readonly call: S3Call;
  readonly headers: Record<string, string>;
}

/** The digest of the body is signed as well, so that the server refuses a body that was changed on its way. */
async function sign(
  call: S3Call,
  options: { bucketUrl: string; region: string; credentials: CredentialSource },
): Promise<SignedRequest> {
  const url = new URL((call.key ?? "").split("/").map(encodeURIComponent).join("/"), options.bucketUrl);
  for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
  const digest = createHash("sha256")
    .update(call.body ?? "")
    .digest("hex");
  const signer = new AwsV4Signer({
    method: call.method,
    url: url.href,
    headers: { ...call.headers, "x-amz-content-sha256": digest },
    service: "s3",
    region: options.region,
    ...(await options.credentials()),
  });
  const { headers } = await signer.sign();
  return { url, call, headers: Object.fromEntries(headers) };
}

async function sendOnce({ url, call, headers }: SignedRequest, dispatcher: Agent): Promise<S3Answer> {
  const answer = await request(url, {
    dispatcher,
    method: call.method,
    headers,
    body: call.body ?? null,
  });
  if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
  throw await readS3Error(answer);
}
