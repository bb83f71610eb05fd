import { LibvirtConnectionError } from "../errors.ts";
import { procedures } from "../wire/procedures.ts";
import type { ConnectionHandlers } from "./connection.ts";
import { Connection, dial } from "./connection.ts";
import type { Endpoint } from "./uri.ts";

/** remote_auth_type */
const AuthType = { none: 0, sasl: 1, polkit: 2 } as const;
/** VIR_DRV_FEATURE_PROGRAM_KEEPALIVE: querying it makes the server send pings. */
const FEATURE_KEEPALIVE = 10;

/** Options of {@link openSession}. The time limit covers everything from the socket to the open hypervisor. */
export interface SessionOptions extends ConnectionHandlers {
  endpoint: Endpoint;
  timeoutSeconds: number;
  /** Runs after the handshake, within the same time limit. */
  prepare?: ((connection: Connection) => Promise<void>) | undefined;
  /** Aborting ends the attempt, and later the connection. */
  signal: AbortSignal;
  /** False for a server without keepalive pings: then the connection may stay unread for any time. */
  keepalive?: boolean;
}

/**
 * Opens a connection that is ready for calls. The server requires this order: it refuses everything before AUTH_LIST,
 * and the hypervisor's calls before OPEN. Rejects with LibvirtConnectionError, or LibvirtError when the server
 * declines.
 */
export async function openSession(options: SessionOptions): Promise<Connection> {
  const connection = await connectAny(options);
  const text = `The libvirt daemon did not finish the handshake within ${options.timeoutSeconds} s.`;
  const timer = setTimeout(() => {
    connection.close(new LibvirtConnectionError("connect", text));
  }, options.timeoutSeconds * 1000);
  try {
    await handshake(connection, options);
    await options.prepare?.(connection);
    return connection;
  } catch (error) {
    connection.close(new LibvirtConnectionError("connect", "The handshake failed.", { cause: error }));
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function connectAny(options: SessionOptions): Promise<Connection> {
  const failures: string[] = [];
  let cause: unknown;
  for (const path of options.endpoint.socketPaths) {
    try {
      return new Connection(await dial(path, options), options);
    } catch (error) {
      failures.push(`${path}: ${describeDialError(error)}`);
      cause = error;
    }
  }
  throw new LibvirtConnectionError("connect", `No libvirt daemon answered (${failures.join("; ")}).`, {
    cause,
  });
}

async function handshake(
  connection: Connection,
  { endpoint, keepalive = true }: Pick<SessionOptions, "endpoint" | "keepalive">,
): Promise<void> {
  const { types } = await connection.call(procedures.authList, undefined);
  await authenticate(connection, types);
  if (keepalive) await connection.call(procedures.connectSupportsFeature, { feature: FEATURE_KEEPALIVE });
  await connection.call(procedures.connectOpen, { name: endpoint.driverUri, flags: 0 });
}

async function authenticate(connection: Connection, types: number[]): Promise<void> {
  if (types.length === 0 || types.includes(AuthType.none)) return;
  if (!types.includes(AuthType.polkit)) {
    const offered = types.map((type) => (type === AuthType.sasl ? "sasl" : `type ${type}`)).join(", ");
    throw new LibvirtConnectionError(
      "auth",
      `The libvirt daemon requires the authentication ${offered}; only polkit is supported.`,
    );
  }
  await connection.call(procedures.authPolkit, undefined);
}

function describeDialError(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "EACCES") return "permission denied; the user must be in the group libvirt";
  if (code === "ENOENT") return "no such socket";
  if (code === "ECONNREFUSED") return "no server listens there";
  return error instanceof Error ? error.message : String(error);
}
