import { join } from "node:path";

/** The guest's serial console, as a path within its zone. */
export const consoleSocket = "/tmp/vm.com1";

/** The guest's line for shells, as a path within its zone. */
export const shellSocket = "/tmp/vm.com2";

/** The most bytes of a unix socket's path (`sun_path` has 108, with a zero at the end). */
export const maxSocketPathBytes = 107;

/** Where the host sees a socket of the zone's. */
export function socketPath(zonePath: string, socket: string): string {
  return join(zonePath, "root", socket);
}
