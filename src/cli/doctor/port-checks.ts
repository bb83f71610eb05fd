import { once } from "node:events";
import { createServer } from "node:net";
import type { ListenAddress } from "../../config/orchestrator-config.ts";
import { readLockHolder } from "../../host/process-lock.ts";
import { type Check, type Finding, fail, ok } from "./check.ts";

/** The addresses that the orchestrator of this data directory will listen on. */
export interface PortTarget {
  readonly apiListen: ListenAddress;
  /** Null: port 7411 on the guests' network. */
  readonly runnerListen: ListenAddress | null;
  /** The lock file of a running orchestrator of this data directory. */
  readonly lockPath: string;
}

/** All addresses: the check also finds a listener on one of them. */
const anyRunnerAddress: ListenAddress = { host: "0.0.0.0", port: 7411 };

/** Checks that the ports are free, or in use by our own orchestrator. */
export function portChecks(target: PortTarget): Check[] {
  const { apiListen, runnerListen, lockPath } = target;
  return [
    { name: "API port", run: () => checkPort(apiListen, lockPath, "API_LISTEN") },
    {
      name: "runner port",
      run: () => checkPort(runnerListen ?? anyRunnerAddress, lockPath, "RUNNER_LISTEN"),
    },
  ];
}

async function checkPort(address: ListenAddress, lockPath: string, variable: string): Promise<Finding> {
  const { host, port } = address;
  const problem = await listenProblem(address);
  if (problem === null)
    return ok(port === 0 ? "The kernel chooses a free port." : `${host}:${port} is free.`);
  const holder = readLockHolder(lockPath);
  if (problem === "EADDRINUSE" && holder)
    return ok(`${host}:${port} is in use while process ${holder.pid} (${holder.what}) runs.`);
  if (problem === "EADDRINUSE") {
    return fail(`${host}:${port} is in use.`, `${listCommand(port)}   # or set ${variable} to another port`);
  }
  return fail(
    `${host}:${port} cannot be listened on (${problem}).`,
    `Set ${variable} to an address of this host.`,
  );
}

/** The command that shows the listener on a port: illumos has no ss(8), and its netstat(8) names the process with -u. */
function listCommand(port: number): string {
  return process.platform === "sunos"
    ? `netstat -anu -f inet -P tcp | grep '[.]${port} '`
    : `ss -ltnp 'sport = :${port}'`;
}

/** The system's error code when listening fails, or null. */
async function listenProblem({ host, port }: ListenAddress): Promise<string | null> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, "listening");
    return null;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  } finally {
    server.close();
  }
}
