import { join } from "node:path";

/** The guest's serial console, as a path within its zone. */
export const consoleSocket = "/tmp/vm.com1";

/** The guest's line for shells, as a path within its zone. */
export const shellSocket = "/tmp/vm.com2";

/** Longest path of a unix socket in bytes (`sun_path` has 108, with a zero at the end). */
export const maxSocketPathBytes = 107;

/** Returns the host's path of a socket in the zone. */
export function socketPath(zonePath: string, socket: string): string {
  return join(zonePath, "root", socket);
}
