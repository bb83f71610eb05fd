import { SolsticeError } from "../core/errors.ts";
import type { NodeRequest } from "./node-http.ts";

/**
 * The header in which a caller names the host that it expects; sent when the caller read the address from
 * that host's data directory.
 */
export const askedHostHeader = "solstice-host";

/** The maximum length of a host id. */
const hostIdMax = 100;

/**
 * The reason why this host refuses `request`, or null. An address recorded by an orchestrator that was killed
 * may now belong to another installation: the caller must not act there.
 */
export function wrongHostRefusal(request: NodeRequest, hostId: string): SolsticeError | null {
  const asked = request.headers[askedHostHeader];
  if (asked === undefined || asked === hostId) return null;
  const shown = String(asked)
    .replace(/[^A-Za-z0-9-]/g, "?")
    .slice(0, hostIdMax);
  return new SolsticeError(
    "unavailable",
    `The request is for host ${shown}, but host ${hostId} listens at this address.`,
    {
      remedy: `Probably the orchestrator of host ${shown} is not running. Start it, or name another API with --api-url or SOLSTICE_API_URL.`,
    },
  );
}
