import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { ImageDefinition, ImageMap } from "../../core/image-map/image-map.ts";
import { defaultImageLimits, type ImageLimits } from "../limits.ts";
import type { ImageProgress, PreparationContext } from "../types.ts";

/** Limits with short waits for tests. */
export const quickLimits: ImageLimits = {
  ...defaultImageLimits,
  freeFloorBytes: 1024 * 1024,
  checkpointBytes: 64 * 1024,
  stalledSeconds: 0.4,
  fruitlessTries: 4,
  pauseSeconds: 0.01,
  pauseMaxSeconds: 0.02,
  lockPollSeconds: 0.02,
  retrySeconds: 0.05,
  retryMaxSeconds: 0.1,
  recheckSeconds: 0.05,
};

/** A folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "solstice-images-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Properties of a test's image; `sha256` is short for that checksum. */
export type GivenImage = Partial<ImageDefinition> & { readonly sha256?: string };

/** An image of the map, with defaults for a test. */
export function imageDefinition({
  sha256,
  ...given
}: GivenImage & Pick<ImageDefinition, "localPath">): ImageDefinition {
  return {
    name: "test-image",
    source: null,
    decompress: "none",
    nocloud: true,
    defaults: { cpu: 1, ramMb: 512, diskGb: 1 },
    checksum:
      sha256 === undefined ? null : { kind: "digest", algorithm: "sha256", hex: sha256.toLowerCase() },
    format: null,
    backend: null,
    seed: "iso",
    diskBus: "virtio",
    nicModel: "virtio",
    firmware: "bios",
    egress: "open",
    ...given,
  };
}

/** A map of these images. */
export function imageMapOf(...images: ImageDefinition[]): ImageMap {
  return {
    defaultLabel: images[0]?.name ?? "none",
    aliases: new Map(),
    sizes: new Map(),
    images: new Map(images.map((image) => [image.name, image])),
  };
}

/** Creates a context that records its reports. */
export function recordingContext(
  folder: string,
  limits: Partial<ImageLimits> = {},
): PreparationContext & { readonly reports: ImageProgress[]; readonly controller: AbortController } {
  const reports: ImageProgress[] = [];
  const controller = new AbortController();
  return {
    limits: { ...quickLimits, ...limits },
    signal: controller.signal,
    dataDir: join(folder, "data"),
    report: (progress) => reports.push(progress),
    reports,
    controller,
  };
}

/** Bytes that do not compress and match no signature of a file kind. */
export function noise(bytes: number): Buffer {
  const buffer = randomBytes(bytes);
  buffer.write("noise", 0);
  return buffer;
}

/** Hex SHA-256. */
export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Behaviour of the server for one request; by default, it behaves correctly. */
export interface Behaviour {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Cut the connection after this number of bytes of the body. */
  readonly cutAfter?: number;
  /** Send this number of bytes and then nothing. */
  readonly stallAfter?: number;
  /** Send the body in pieces of this number of bytes, one each `trickleMs`. */
  readonly trickleMs?: number;
  readonly ignoreRange?: boolean;
  /** Announce and send a range that begins this number of bytes too early. */
  readonly rangeShift?: number;
  /** Send at most this number of bytes of a range, and announce that. */
  readonly maxRangeBytes?: number;
  readonly redirectTo?: string;
  /** Omit the length, as a server does that generates the body. */
  readonly withoutLength?: boolean;
}

/** A file server that misbehaves on request. */
export interface FileServer {
  readonly url: string;
  content: Buffer;
  etag: string | null;
  lastModified: string | null;
  /** The behaviour of the next requests; `always` applies after the last one. */
  readonly script: Behaviour[];
  always: Behaviour;
  /** The `Range` header of each request so far, null without. */
  readonly ranges: (string | null)[];
  readonly requests: IncomingMessage["headers"][];
}

/** Starts a server on a free port; it ends with the test. */
export async function startFileServer(t: TestContext, content: Buffer): Promise<FileServer> {
  const server = createServer((request, response) => serve(files, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const files: FileServer = {
    url: `http://127.0.0.1:${port}/image`,
    content,
    etag: '"one"',
    lastModified: null,
    script: [],
    always: {},
    ranges: [],
    requests: [],
  };
  return files;
}

function serve(files: FileServer, request: IncomingMessage, response: ServerResponse): void {
  files.ranges.push(request.headers.range ?? null);
  files.requests.push(request.headers);
  const behaviour = files.script.shift() ?? files.always;
  if (files.etag) response.setHeader("etag", files.etag);
  if (files.lastModified) response.setHeader("last-modified", files.lastModified);
  for (const [name, value] of Object.entries(behaviour.headers ?? {})) response.setHeader(name, value);
  if (behaviour.redirectTo) {
    response.writeHead(302, { location: behaviour.redirectTo }).end();
  } else if (behaviour.status) {
    response.writeHead(behaviour.status).end("an error page");
  } else {
    sendFile(files, { request, response, behaviour });
  }
}

function sendFile(
  files: FileServer,
  {
    request,
    response,
    behaviour,
  }: { request: IncomingMessage; response: ServerResponse; behaviour: Behaviour },
): void {
  const { content } = files;
  const asked = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? Number.NaN);
  const condition = request.headers["if-range"];
  const isSame = !condition || condition === files.etag || condition === files.lastModified;
  const isPartial = !Number.isNaN(asked) && isSame && !behaviour.ignoreRange;
  if (isPartial && asked >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const start = isPartial ? asked - (behaviour.rangeShift ?? 0) : 0;
  const end = isPartial
    ? Math.min(content.length, start + (behaviour.maxRangeBytes ?? Number.MAX_SAFE_INTEGER))
    : content.length;
  if (isPartial) {
    response.statusCode = 206;
    response.setHeader("content-range", `bytes ${start}-${end - 1}/${content.length}`);
  }
  const body = content.subarray(start, end);
  if (!behaviour.withoutLength) response.setHeader("content-length", body.length);
  sendBody(response, body, behaviour);
}

function sendBody(response: ServerResponse, body: Buffer, behaviour: Behaviour): void {
  if (behaviour.cutAfter !== undefined) {
    response.write(body.subarray(0, behaviour.cutAfter), () => response.socket?.end());
  } else if (behaviour.stallAfter !== undefined) {
    response.write(body.subarray(0, behaviour.stallAfter));
  } else if (behaviour.trickleMs !== undefined) {
    trickle(response, body, behaviour.trickleMs);
  } else {
    // Node sends a length when the whole body is passed to end().
    if (behaviour.withoutLength) response.flushHeaders();
    response.end(body);
  }
}

function trickle(response: ServerResponse, body: Buffer, everyMs: number): void {
  let sent = 0;
  const timer = setInterval(() => {
    response.write(body.subarray(sent, sent + 1));
    sent += 1;
  }, everyMs);
  response.on("close", () => clearInterval(timer));
}
