import type { JobRequestInput } from "../../src/core/job-request.ts";
import type { Random } from "./random.ts";

/** What a run sends through the broker. */
export interface Messages {
  /** Each request once. */
  readonly requests: readonly JobRequestInput[];
  /** What is published, in this order: each request at least once, some again, and between them what is no request. */
  readonly published: readonly Buffer[];
  /** The bodies of {@link published} that must be refused, each once. */
  readonly malformed: readonly Buffer[];
}

/** One in this many requests is published twice, and one in as many is followed by a message that is no request. */
const oneIn = 10;

/** Makes `count` requests for the labels given, with duplicates and malformed messages mixed in. */
export function createMessages(
  random: Random,
  options: { count: number; labels: readonly string[]; repositories: number },
): Messages {
  const requests = Array.from({ length: options.count }, (_, index) => requestOf(random, index, options));
  const published: Buffer[] = [];
  const malformed: Buffer[] = [];
  for (const [index, request] of requests.entries()) {
    published.push(encode(request));
    if (random.integer(1, oneIn) === 1) {
      published.push(encode(requests[random.integer(0, index)] ?? request));
    }
    if (random.integer(1, oneIn) === 1) {
      const body = malformedOf(random);
      malformed.push(body);
      published.push(body);
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

/** Each is different from all others, so that each leaves a trace of its own. */
function malformedOf(random: Random): Buffer {
  const id = random.uuid();
  return random.pick([
    () => Buffer.from(`{"request_id": "${id}", `),
    () => Buffer.concat([Buffer.from([0xff, 0xfe, 0x00]), Buffer.from(id)]),
    () => encode({ request_id: id }),
    () => encode({ request_id: `not a uuid ${id}`, script: "true" }),
    () => encode({ request_id: id, script: "true", runs_on: "no-such-label" }),
    () => encode([id]),
  ])();
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
