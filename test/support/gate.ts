import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** Signals from a test to the scripts in its guests: a script waits until the test opens a path. */
export interface Gate {
  readonly port: number;
  /** Opens `name`: every script that waits for this path continues, and receives the text. */
  open(name: string, text?: string): void;
  /** A command of busybox's shell that returns once `name` is open, and prints its text. */
  read(name: string): string;
  /** Like {@link read}, without printing the text. */
  waitFor(name: string): string;
}

/**
 * Serves a gate on the given address of this host and a free port; closed after the test. `/` is always open. Other
 * requests get their response once their path is open: each process that a guest starts is expensive under software
 * emulation, so scripts do not poll.
 */
export async function startGate(context: TestContext, host: string): Promise<Gate> {
  const paths = new Map<string, PromiseWithResolvers<string>>();
  const pathOf = (name: string) => {
    const path = paths.get(name) ?? Promise.withResolvers<string>();
    paths.set(name, path);
    return path;
  };
  const open = (name: string, text = "") => pathOf(`/${name}`).resolve(text);
  open("");
  const server = createServer((request, response) => {
    void pathOf(request.url ?? "").promise.then((text) => response.end(text));
  });
  server.listen(0, host);
  await once(server, "listening");
  context.after(() => {
    server.close().closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const ask = (name: string, output: string) =>
    `until wget -q -O ${output} http://${host}:${port}/${name} 2>/dev/null; do sleep 1; done`;
  return { port, open, read: (name) => ask(name, "-"), waitFor: (name) => ask(name, "/dev/null") };
}
