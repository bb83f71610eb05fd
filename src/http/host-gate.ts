import { SolsticeError } from "../core/errors.ts";
import { toConnectError } from "./errors.ts";
import type { NodeHandler, NodeRequest } from "./node-http.ts";
import { refuseAsJson } from "./refusal.ts";

/** A name or address, and a port. A host that no URL can contain does not match. */
const hostForm = /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._~!$&'()*+,;=%-]{1,255})(?::\d{0,5})?$/i;

/**
 * Answers 400 to a request that does not name exactly one host. Two programs on the way may each use a
 * different name, and the access rules must check the name that was meant (RFC 9112, section 3.2).
 */
export function createHostGate(handler: NodeHandler): NodeHandler {
  return (request, response) => {
    const problem = hostProblem(request);
    if (problem === null) return handler(request, response);
    const error = new SolsticeError("usage", `The Host header of the request is ${problem}.`, {
      remedy: "Send one Host header: the name or address, and the port, of the URL that is called.",
    });
    refuseAsJson(response, toConnectError(error), 400);
  };
}

function hostProblem(request: NodeRequest): string | null {
  const names = hostsOf(request);
  const [host] = names;
  if (host === undefined) return "missing";
  if (names.length > 1) return "repeated";
  return hostForm.test(host) ? null : "malformed";
}

/** The host names in a request: each different name and each repetition. */
function hostsOf(request: NodeRequest): string[] {
  const given = request.rawHeaders.filter((_, at) => isHost(request.rawHeaders[at - 1], at));
  const authority = request.headers[":authority"]?.toString();
  if (authority === undefined) return given;
  return [authority, ...given.filter((name) => name !== authority)];
}

/** Raw headers alternate names and values. */
function isHost(name: string | undefined, at: number): boolean {
  return at % 2 === 1 && name?.toLowerCase() === "host";
}
