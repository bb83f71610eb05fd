import { SolsticeError } from "../core/errors.ts";
import { isLoopback } from "../core/hosts/loopback.ts";
import { authorityOf, type NodeRequest } from "../http/node-http.ts";
import { bearerToken, sameSecret } from "./bearer.ts";

/** The rules for callers of the user API. */
export interface AccessPolicy {
  /**
   * The operator's token. Null: no token is required, and only requests that name a local host are served.
   */
  readonly token: string | null;
  /** The configured listen host. */
  readonly listenHost: string;
}

/**
 * The reason why `request` may not call the API; null when it may.
 *
 * When a token is set, only the token decides. Without a token, the API serves the users of this machine, and
 * their browser must not be used against them: a foreign page may send requests here (stopped by
 * Sec-Fetch-Site, and by Origin where the browser is too old for that header or does not trust the address),
 * or make its own name resolve to this address (DNS rebinding, stopped by checking the name that the browser
 * requested).
 */
export function accessRefusal(request: NodeRequest, policy: AccessPolicy): SolsticeError | null {
  if (isForeignPage(request)) {
    return new SolsticeError("unauthenticated", "Pages of other sites may not call this API.");
  }
  if (policy.token === null) return hostRefusal(request, policy.listenHost);
  const given = bearerToken(request.headers.authorization);
  if (given !== null && sameSecret(given, policy.token)) return null;
  const problem = given === null ? "This API requires a token." : "The API token is wrong.";
  return new SolsticeError("unauthenticated", problem, {
    remedy:
      "Set API_TOKEN (or --api-token) to the orchestrator's current value: a reload may have changed it.",
  });
}

/**
 * True when the browser reports that a page of another origin sent the request. Programs send neither header.
 */
function isForeignPage(request: NodeRequest): boolean {
  const { "sec-fetch-site": site, origin } = request.headers;
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  return origin !== undefined && !isOwnOrigin(String(origin), authorityOf(request));
}

/**
 * Ignores the scheme: a proxy in front of the API may add TLS. A sandboxed page has the origin `null`, which
 * is foreign.
 */
function isOwnOrigin(origin: string, authority: string | undefined): boolean {
  const page = URL.parse(origin);
  if (page === null || authority === undefined || !/^https?:$/.test(page.protocol)) return false;
  return page.host === URL.parse(`${page.protocol}//${authority}`)?.host;
}

function hostRefusal(request: NodeRequest, listenHost: string): SolsticeError | null {
  const host = hostName(authorityOf(request));
  if (host !== null && (isLoopback(host) || host === listenHost.toLowerCase())) return null;
  return new SolsticeError("unauthenticated", "Without a token the API answers only to a local host name.", {
    remedy: "Call it as 127.0.0.1 or localhost, or start the orchestrator with API_TOKEN.",
  });
}

function hostName(authority: string | undefined): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(authority ?? "");
  return (match?.[1] ?? match?.[2])?.toLowerCase() ?? null;
}
