import type { Dispatcher } from "undici";
import { request } from "undici";
import { SolsticeError } from "../../core/errors.ts";
import type { ImageLimits } from "../limits.ts";

/** Options of a request. */
export interface RequestOptions {
  readonly dispatcher: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly limits: ImageLimits;
  /** True when a checksum will be compared, so that an unencrypted redirect is harmless. */
  readonly hasChecksum: boolean;
}

const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308];

/** Sends a GET and follows a limited number of redirects. The caller reads the body or discards it. */
export async function getFollowing(url: string, options: RequestOptions): Promise<Dispatcher.ResponseData> {
  const origin = new URL(url);
  let current = origin;
  for (let hop = 0; hop <= options.limits.redirects; hop += 1) {
    const response = await getOnce(current, current.origin === origin.origin ? origin : null, options);
    const location = response.headers.location;
    if (!redirectStatuses.includes(response.statusCode) || typeof location !== "string") return response;
    discardBody(response.body);
    current = nextHop(current, location, options.hasChecksum);
  }
  throw new SolsticeError("not_found", `The source redirects more than ${options.limits.redirects} times.`, {
    remedy: "Check the image's source in the map.",
  });
}

/** Discards a body. Without a listener its error would end the process. */
export function discardBody(body: Dispatcher.ResponseData["body"]): void {
  body.on("error", () => {});
  body.destroy();
}

/** Returns `url` without user and password, which go into a header. */
function withoutCredentials(url: string): string {
  const parsed = new URL(url);
  parsed.username = "";
  parsed.password = "";
  return parsed.href;
}

/** Sends one request. Credentials go only to the host that the map names. */
function getOnce(url: URL, credentials: URL | null, options: RequestOptions) {
  const target = withoutCredentials(url.href);
  const { limits } = options;
  return request(target, {
    dispatcher: options.dispatcher,
    headers: {
      // Request the published bytes: compression on the fly would make ranges and checksums meaningless.
      "accept-encoding": "identity",
      "user-agent": "solstice-ci",
      ...(credentials?.username ? { authorization: basicAuthorization(credentials) } : {}),
      ...options.headers,
    },
    headersTimeout: limits.stalledSeconds * 1000,
    bodyTimeout: limits.stalledSeconds * 1000,
    signal: options.signal,
  });
}

function basicAuthorization(url: URL): string {
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

function nextHop(from: URL, location: string, hasChecksum: boolean): URL {
  const next = URL.parse(location, from.href);
  const isHttp = next?.protocol === "http:" || next?.protocol === "https:";
  const isDowngrade = from.protocol === "https:" && next?.protocol === "http:";
  if (next && isHttp && (!isDowngrade || hasChecksum)) return next;
  const why = isDowngrade ? "from https to http" : "to something that is not http";
  throw new SolsticeError("not_found", `The source redirects ${why}, which is refused.`, {
    remedy: isDowngrade ? "Give the image a checksum in the map." : "Check the image's source in the map.",
  });
}
