import { SolsticeError } from "../core/errors.ts";
import { authorityOf, type NodeRequest } from "../http/node-http.ts";
import { bearerToken, sameSecret } from "./bearer.ts";

/** Who may call the user API. */
export interface AccessPolicy {
  /** The operator's token; null: none is asked for, and only callers that name a local host are served. */
  readonly token: string | null;
  /** The host that was listened on, as configured. */
  readonly listenHost: string;
}

/**
 * Why `request` may not call the API, or null when it may.
 *
 * With a token the token decides. Without one the API is for this machine's people, and their browser must not be used
 * against them: a foreign page may send requests here (stopped by Sec-Fetch-Site, and by Origin where a browser is too old
 * for that, or calls an address that it does not trust), or let its own name resolve to this address (DNS rebinding, stopped
 * by looking at the name the browser asked for).
 */
export function accessRefusal(request: NodeRequest, policy: AccessPolicy): SolsticeError | null {
  if (isForeignPage(request)) {
    return new SolsticeError("unauthenticated", "Pages of other sites may not call this API.");
  }
  if (policy.token === null) return hostRefusal(request, policy.listenHost);
  const given = bearerToken(request.headers.authorization);
  if (given !== null && sameSecret(given, policy.token)) return null;
  const problem = given === null ? "The API wants a token." : "The API token is wrong.";
  return new SolsticeError("unauthenticated", problem, {
    remedy:
      "Set API_TOKEN (or --api-token) to the value that the orchestrator has now: a reload may have changed it.",
  });
}

/** Whether a browser says that a page of another origin sends this. Programs send neither header. */
function isForeignPage(request: NodeRequest): boolean {
  const { "sec-fetch-site": site, origin } = request.headers;
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  return origin !== undefined && !isOwnOrigin(String(origin), authorityOf(request));
}

/** The scheme is not compared: a proxy in front of the API may add TLS. A sandboxed page's origin is `null`: foreign. */
function isOwnOrigin(origin: string, authority: string | undefined): boolean {
  const page = URL.parse(origin);
  if (page === null || authority === undefined || !/^https?:$/.test(page.protocol)) return false;
  return page.host === URL.parse(`${page.protocol}//${authority}`)?.host;
}

function hostRefusal(request: NodeRequest, listenHost: string): SolsticeError | null {
  const host = hostName(authorityOf(request));
  if (host !== null && (isLoopbackName(host) || host === listenHost.toLowerCase())) return null;
  return new SolsticeError("unauthenticated", "Without a token the API answers only to a local host name.", {
    remedy: "Call it as 127.0.0.1 or localhost, or start the orchestrator with API_TOKEN.",
  });
}

function hostName(authority: string | undefined): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(authority ?? "");
  return (match?.[1] ?? match?.[2])?.toLowerCase() ?? null;
}

function isLoopbackName(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
