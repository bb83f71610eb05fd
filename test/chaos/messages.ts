import type { JobRequestInput } from "../../src/core/request/job-request.ts";
import type { Random } from "../support/random.ts";

/** What a producer says of a message beside its bytes: every producer does it differently. */
export interface MessageProperties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  /** Whether it asks the broker to keep it over a restart. */
  readonly durable?: boolean;
  readonly messageId?: string;
  readonly priority?: number;
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** A message as it is published. */
export interface Message {
  readonly body: Buffer;
  readonly properties: MessageProperties;
}

/** What a part of a run sends through the broker. */
export interface Messages {
  /** Each request once. */
  readonly requests: readonly JobRequestInput[];
  /** What is published, in this order: each request at least once, some again, and between them what is no request. */
  readonly published: readonly Message[];
  /** The bodies of {@link published} that must be refused, each once. */
  readonly malformed: readonly Buffer[];
}

/** One in this many requests is published twice, and one in as many is followed by a message that is no request. */
const oneIn = 10;

/** Larger than any request may be, and not so large that RabbitMQ is busy with nothing else. */
const hugeBytes = 5 * 1024 * 1024;

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Makes `count` requests for the labels given, with duplicates and malformed messages mixed in. With `withExtremes` also an
 * empty and a huge message.
 */
export function createMessages(
  random: Random,
  options: { count: number; labels: readonly string[]; repositories: number; withExtremes: boolean },
): Messages {
  const requests = Array.from({ length: options.count }, (_, index) => requestOf(random, index, options));
  const published: Message[] = [];
  const malformed: Buffer[] = options.withExtremes
    ? [Buffer.alloc(0), Buffer.alloc(hugeBytes, random.uuid())]
    : [];
  for (const body of malformed) published.push({ body, properties: {} });
  for (const [index, request] of requests.entries()) {
    published.push(messageOf(random, request));
    if (random.integer(1, oneIn) === 1) {
      published.push(messageOf(random, requests[random.integer(0, index)] ?? request));
    }
    if (random.integer(1, oneIn) === 1) {
      const message = malformedOf(random);
      malformed.push(message.body);
      published.push(message);
    }
  }
  return { requests, published, malformed };
}

function requestOf(
  random: Random,
  index: number,
  options: { labels: readonly string[]; repositories: number },
): JobRequestInput {
  return {
    schema_version: "jobrequest.v1",
    request_id: random.uuid(),
    source: "chaos",
    repo_url: `https://example.org/repository-${random.integer(1, options.repositories)}`,
    commit_sha: "a".repeat(40),
    runs_on: random.pick(options.labels),
    steps: [{ name: "build", run: `echo ${index}` }],
    priority: random.integer(-2, 2),
  };
}

/** None of this changes what a request means. */
function messageOf(random: Random, request: JobRequestInput): Message {
  const body = encode(request);
  return random.pick<() => Message>([
    () => ({ body, properties: { contentType: "application/json", durable: true } }),
    () => ({ body, properties: { contentType: "application/json", durable: true } }),
    () => ({ body, properties: {} }),
    () => ({ body, properties: { contentType: "text/plain", durable: false } }),
    () => ({
      body,
      properties: { contentType: "application/json; charset=utf-8", contentEncoding: "utf-8" },
    }),
    () => ({ body: Buffer.concat([byteOrderMark, body]), properties: { contentType: "application/json" } }),
    () => ({ body: encode({ ...request, from_a_later_version: { list: [1] } }), properties: {} }),
    () => ({ body, properties: { messageId: random.uuid(), priority: 9, headers: oddHeaders } }),
  ])();
}

const oddHeaders = {
  "x-death": "what a proxy of messages made of it",
  "x-solstice-reason": "none",
  nested: { list: [1, "two", null] },
  long: "x".repeat(1000),
} as const;

/** Each is different from all others, so that each leaves a trace of its own. */
function malformedOf(random: Random): Message {
  const id = random.uuid();
  const json = { contentType: "application/json", durable: true };
  return random.pick<() => Message>([
    () => ({ body: Buffer.from(`{"request_id": "${id}", `), properties: json }),
    () => ({ body: Buffer.concat([Buffer.from([0xff, 0xfe, 0x00]), Buffer.from(id)]), properties: json }),
    () => ({ body: encode({ request_id: id }), properties: json }),
    () => ({ body: encode({ request_id: `not a uuid ${id}`, script: "true" }), properties: {} }),
    () => ({ body: encode({ request_id: id, script: "true", runs_on: "no-such-label" }), properties: json }),
    () => ({ body: encode({ request_id: id, script: "\0" }), properties: { headers: oddHeaders } }),
    () => ({ body: encode([id]), properties: { contentType: "text/plain" } }),
  ])();
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
