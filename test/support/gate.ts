import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** Signals from a test to scripts in its guests: a script waits until the test opens a path. */
export interface Gate {
  readonly port: number;
  open(name: string): void;
  /** A command of busybox's shell that returns once `name` is open. */
  waitFor(name: string): string;
}

/** Serves a gate on that address of this host and a free port; closed after the test. `/` is always open. */
export async function startGate(context: TestContext, host: string): Promise<Gate> {
  const opened = new Set(["/"]);
  const server = createServer((request, response) => {
    response.writeHead(opened.has(request.url ?? "") ? 200 : 503).end("here");
  });
  server.listen(0, host);
  await once(server, "listening");
  context.after(() => {
    server.close().closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    open: (name) => void opened.add(`/${name}`),
    waitFor: (name) =>
      `until timeout 4 wget -q -O /dev/null http://${host}:${port}/${name} 2>/dev/null; do sleep 1; done`,
  };
}
