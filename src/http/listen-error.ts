import { SolsticeError } from "../core/errors.ts";

/** Where a server listens. Port 0 lets the kernel choose, unless `preferredPort` is free. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** Tried first where the port is 0. */
  readonly preferredPort?: number | undefined;
}

/** Why a server cannot listen, and what to do: who holds the port, or which flag to change. */
export function listenError(
  error: NodeJS.ErrnoException,
  { address, flag }: { address: ListenAddress; flag: string },
): SolsticeError {
  const place = `${address.host}:${address.port}`;
  if (error.code === "EADDRINUSE") {
    return new SolsticeError("locked", `Cannot listen on ${place}: another process already does.`, {
      remedy: `See which one with \`ss -ltnp 'sport = :${address.port}'\` (often an orchestrator that still runs), or choose another address with ${flag}.`,
      cause: error,
    });
  }
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND") {
    return new SolsticeError("config_invalid", `Cannot listen on ${place}: this host has no such address.`, {
      remedy: `See the host's addresses with \`ip addr\` (is the network up?), or set another with ${flag}.`,
      cause: error,
    });
  }
  return new SolsticeError("unavailable", `Cannot listen on ${place}: ${error.message}.`, {
    remedy: `Ports below 1024 need privileges; choose another address with ${flag}.`,
    cause: error,
  });
}
