import { join } from "node:path";
import { LibvirtConnectionError } from "../errors.ts";

/** The sockets to try, and the URI to open there. */
export interface Endpoint {
  /** The URI for the server's own `open` call: driver and path only. */
  driverUri: string;
  /** Sockets to try, in this order. */
  socketPaths: string[];
}

const SYSTEM_DIRECTORIES = ["/run/libvirt", "/var/run/libvirt"];
const URI_PATTERN = /^([a-z]+)(\+unix)?:\/\/(\/[^?#]*)(?:\?(.*))?$/;

/**
 * Reads `qemu:///system`, `qemu:///session` and `qemu+unix:///system?socket=/path`. Session sockets are in
 * `runtimeDirectory` (usually `$XDG_RUNTIME_DIR`). Throws LibvirtConnectionError (`connect`) for unsupported URIs.
 */
export function parseLibvirtUri(uri: string, runtimeDirectory?: string): Endpoint {
  const match = URI_PATTERN.exec(uri);
  if (!match) throw uriError(uri, "Only local URIs are supported, for example qemu:///system.");
  const [, driver = "", , path = "", query = ""] = match;
  const socket = socketParameter(uri, query);
  const driverUri = `${driver}://${path}`;
  if (socket !== undefined) return { driverUri, socketPaths: [socket] };
  return { driverUri, socketPaths: socketPaths({ uri, driver, path, runtimeDirectory }) };
}

function socketParameter(uri: string, query: string): string | undefined {
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (name !== "socket") throw uriError(uri, `The parameter "${name}" is not supported; only "socket" is.`);
  }
  const socket = parameters.get("socket");
  if (socket === null) return undefined;
  if (!socket.startsWith("/")) throw uriError(uri, "The parameter socket must be an absolute path.");
  return socket;
}

function socketPaths(place: {
  uri: string;
  driver: string;
  path: string;
  runtimeDirectory: string | undefined;
}): string[] {
  // A host runs either one daemon per driver (virtqemud) or one for all (libvirtd).
  const names = [`virt${place.driver}d-sock`, "libvirt-sock"];
  if (place.path !== "/session") {
    return SYSTEM_DIRECTORIES.flatMap((directory) => names.map((name) => join(directory, name)));
  }
  const { runtimeDirectory } = place;
  if (!runtimeDirectory) throw uriError(place.uri, "A session URI needs the user's runtime directory.");
  return names.map((name) => join(runtimeDirectory, "libvirt", name));
}

function uriError(uri: string, reason: string): LibvirtConnectionError {
  return new LibvirtConnectionError("connect", `Cannot use the libvirt URI "${uri}". ${reason}`);
}
