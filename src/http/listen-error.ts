import { SolsticeError } from "../core/errors.ts";

/** The address on which a server listens. With port 0 the kernel chooses, unless `preferredPort` is free. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** Tried first when `port` is 0. */
  readonly preferredPort?: number | undefined;
}

/**
 * The error of a server that cannot listen, with the remedy: find the process that uses the port, or change a
 * flag.
 */
export function listenError(
  error: NodeJS.ErrnoException,
  { address, flag }: { address: ListenAddress; flag: string },
): SolsticeError {
  const place = `${address.host}:${address.port}`;
  if (error.code === "EADDRINUSE") {
    return new SolsticeError("locked", `Cannot listen on ${place}: another process uses the port.`, {
      remedy: `Find the process with \`ss -ltnp 'sport = :${address.port}'\` (often an orchestrator that still runs), or choose another address with ${flag}.`,
      cause: error,
    });
  }
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND") {
    return new SolsticeError(
      "config_invalid",
      `Cannot listen on ${place}: this host does not have that address.`,
      {
        remedy: `List the host's addresses with \`ip addr\` (is the network up?), or choose another address with ${flag}.`,
        cause: error,
      },
    );
  }
  return new SolsticeError("unavailable", `Cannot listen on ${place}: ${error.message}.`, {
    remedy: `Ports below 1024 need privileges; choose another address with ${flag}.`,
    cause: error,
  });
}
