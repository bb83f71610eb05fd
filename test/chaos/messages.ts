import type { JobRequestInput } from "../../src/core/request/job-request.ts";
import type { Random } from "../support/random.ts";

/** The properties of a message beside its body: producers differ in them. */
export interface MessageProperties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  /** True when the message is persistent: the broker keeps it over a restart. */
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

/** The messages that a part of a run sends through the broker. */
export interface Messages {
  /** Each request once. */
  readonly requests: readonly JobRequestInput[];
  /**
   * The published messages, in this order: each request at least once, some twice, and between them messages that are
   * not requests.
   */
  readonly published: readonly Message[];
  /** The bodies in {@link published} that must be refused, each once. */
  readonly malformed: readonly Buffer[];
}

/** One request in this many is published twice, and as many are followed by a message that is not a request. */
const oneIn = 10;

/** Larger than the limit for requests, but small enough that RabbitMQ still has time for other messages. */
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

/** Properties that do not change the meaning of a request. */
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

/** Each malformed message is unique, so that each leaves a separate record. */
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
