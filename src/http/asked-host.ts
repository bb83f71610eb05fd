import { SolsticeError } from "../core/errors.ts";
import type { NodeRequest } from "./node-http.ts";

/** The header in which a caller names the host it means, where it took the address from that host's data directory. */
export const askedHostHeader = "solstice-host";

/** No host's id is longer. */
const hostIdMax = 100;

/**
 * Why this host does not answer `request`, or null. An address that an orchestrator noted before it was killed may be another
 * installation's by now: the caller must not act there.
 */
export function wrongHostRefusal(request: NodeRequest, hostId: string): SolsticeError | null {
  const asked = request.headers[askedHostHeader];
  if (asked === undefined || asked === hostId) return null;
  const shown = String(asked)
    .replace(/[^A-Za-z0-9-]/g, "?")
    .slice(0, hostIdMax);
  return new SolsticeError(
    "unavailable",
    `Host ${shown} was asked, and host ${hostId} answers at its address.`,
    {
      remedy: `The orchestrator of host ${shown} does not run. Start it, or name another API with --api-url or SOLSTICE_API_URL.`,
    },
  );
}
