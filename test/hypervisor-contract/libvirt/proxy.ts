import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";

/** The socket of the system's libvirt daemon. */
const SYSTEM_SOCKET = "/run/libvirt/libvirt-sock";

/** A proxy for the system's libvirtd, whose connections can be cut. */
export interface LibvirtProxy {
  /** The URI for a libvirt client. */
  readonly uri: string;
  /** Drops all data and connections of clients, and accepts no new connection. */
  cut(): void;
  close(): Promise<void>;
}

/** Listens in `directory`, and forwards all data in both directions. */
export async function openLibvirtProxy(directory: string): Promise<LibvirtProxy> {
  const path = join(directory, "libvirt-proxy");
  const clients = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    const daemon = connect(SYSTEM_SOCKET);
    clients.add(client);
    client.on("data", (bytes) => (isCut ? client.destroy() : daemon.write(bytes)));
    daemon.on("data", (bytes) => client.write(bytes));
    for (const socket of [client, daemon]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        clients.delete(client);
        client.destroy();
        daemon.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const stopListening = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return {
    uri: `qemu+unix:///system?socket=${path}`,
    cut() {
      isCut = true;
      void stopListening();
    },
    async close() {
      const stopped = server.listening ? stopListening() : undefined;
      for (const client of clients) client.destroy();
      await stopped;
    },
  };
}
