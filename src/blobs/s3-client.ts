import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AwsV4Signer } from "aws4fetch";
import { Agent, request } from "undici";
import { backoffMs } from "../core/backoff.ts";
import { withoutTrailing } from "../core/text/text-ends.ts";
import { readS3Error, type S3Answer } from "./s3-answers.ts";
import type { CredentialSource } from "./s3-credentials.ts";
import { isTransient } from "./s3-errors.ts";

/** One call of the S3 API. */
export interface S3Call {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Absent for calls on the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** Calls one bucket. Throws `S3Error` when the server refuses, and undici's errors when the server cannot be reached. */
export interface S3Client {
  /** `read` takes the result from the response and reads the whole body; when `read` fails, the call is retried. */
  send<T>(call: S3Call, read: (answer: S3Answer) => Promise<T>): Promise<T>;
  close(): void;
}

/** Location of the bucket. */
export interface S3Place {
  readonly bucket: string;
  /** Null for AWS, in the region. */
  readonly endpoint: string | null;
  readonly region: string;
}

/** Time limits of connecting and of a silent response, in ms. */
const connectTimeoutMs = 10_000;
const silenceTimeoutMs = 60_000;
const connectionsMax = 50;

/** Number of attempts of a call, and the longest pause before the second attempt, in ms; the pause doubles each time. */
const tries = 3;
const backoff = { firstMs: 100, maxMs: 400 };

/** Creates a client with its own connections, which `close` ends. */
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
          await delay(Math.random() * backoffMs(attempt, backoff));
        }
      }
    },
    close: () => void dispatcher.destroy(),
  };
}

/**
 * Returns the bucket's URL with a trailing slash. Self-hosted servers seldom have DNS for bucket names as host names,
 * and the certificate of AWS does not cover bucket names with dots: in both cases the bucket is part of the path.
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

/** Signs a request, with the digest of its body, so that the server rejects a body that was changed in transit. */
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
