/** The error codes of the system, of Node's TLS and of undici in words; `{}` is the peer, if the error names one. */
const meanings: Readonly<Record<string, string>> = {
  ENOTFOUND: "The name {} does not exist in DNS, or this machine's DNS server cannot reach the internet",
  EAI_AGAIN: "The name {} could not be resolved: no DNS server answers; check this machine's network",
  ECONNREFUSED: "The connection to {} was refused: no program listens there",
  ECONNRESET: "The connection to {} was reset by the other side",
  UND_ERR_SOCKET: "The connection to {} was reset by the other side",
  EPIPE: "The connection to {} was closed by the other side",
  ETIMEDOUT: "No answer from {} in time: a firewall may drop the packets",
  UND_ERR_CONNECT_TIMEOUT: "No answer from {} in time: a firewall may drop the packets",
  ERR_SOCKET_CONNECTION_TIMEOUT: "No answer from {} in time: a firewall may drop the packets",
  UND_ERR_HEADERS_TIMEOUT: "The connection to {} is open, but no answer arrived in time",
  UND_ERR_BODY_TIMEOUT: "The connection to {} is open, but the rest of the answer did not arrive in time",
  EHOSTUNREACH: "The network has no route to {}",
  ENETUNREACH: "The network has no route to {}",
  ENETDOWN: "This machine's network is down",
  EADDRNOTAVAIL: "This machine has no address to reach {} from",
  CERT_HAS_EXPIRED: "The certificate of {} has expired, or this machine's clock is wrong",
  CERT_NOT_YET_VALID: "The certificate of {} is not valid yet: this machine's clock may be wrong",
  DEPTH_ZERO_SELF_SIGNED_CERT: "The certificate of {} is self-signed, and this machine does not trust it",
  SELF_SIGNED_CERT_IN_CHAIN:
    "The certificate of {} was issued by an authority that this machine does not trust",
  UNABLE_TO_GET_ISSUER_CERT:
    "The certificate of {} was issued by an authority that this machine does not trust",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "The certificate of {} was issued by an authority that this machine does not trust",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "The certificate of {} was issued by an authority that this machine does not trust",
  CERT_UNTRUSTED: "The certificate of {} was issued by an authority that this machine does not trust",
  CERT_REVOKED: "The certificate of {} was revoked",
  ERR_TLS_CERT_ALTNAME_INVALID: "The certificate of {} is for other names",
  ERR_SSL_WRONG_VERSION_NUMBER:
    "The server at {} does not use TLS: use http instead of https, if that is intended",
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    "The server at {} does not use TLS: use http instead of https, if that is intended",
  EPROTO: "TLS with {} failed",
};

/** Depth to which causes are followed: an error may be its own cause. */
const depthMax = 5;

/**
 * One sentence for a person about a network failure, with the code to search for; null for any other error. All texts
 * for these codes are here, since libraries wrap the errors in several ways.
 */
export function networkProblem(error: unknown): string | null {
  const found = findCoded(error, depthMax);
  if (found === null) return null;
  const { code, peer } = found;
  return `${(meanings[code] ?? "").replace("{}", peer ?? "the server")} (${code}).`;
}

/** {@link networkProblem} for an error that may also be at the end of a chain of causes, or among several errors. */
function findCoded(error: unknown, depth: number): { code: string; peer: string | null } | null {
  if (depth === 0 || typeof error !== "object" || error === null) return null;
  // If several addresses were tried, the whole error has the code of the first, and each part has its address.
  const parts: unknown[] = "errors" in error && Array.isArray(error.errors) ? error.errors.slice(0, 1) : [];
  const inner = [...parts, "cause" in error ? error.cause : null];
  for (const one of inner) {
    const found = findCoded(one, depth - 1);
    if (found !== null) return found;
  }
  const code = "code" in error ? String(error.code) : "";
  return Object.hasOwn(meanings, code) ? { code, peer: peerOf(error) } : null;
}

function peerOf(error: object): string | null {
  const at = (name: string) => (name in error ? (error as Record<string, unknown>)[name] : undefined);
  const host = at("hostname") ?? at("host") ?? at("address");
  if (typeof host !== "string") return null;
  const port = at("port");
  return typeof port === "number" && at("hostname") === undefined ? `${host}:${port}` : host;
}
