import { randomInt } from "node:crypto";
import { connect, createServer } from "node:net";

/** The three ports of a private RabbitMQ. */
export interface BrokerPorts {
  readonly amqp: number;
  readonly epmd: number;
  readonly distribution: number;
}

/**
 * Below the range of the kernel's outgoing connections. In that range, a client that keeps dialling a closed port
 * connects to itself in the end, and then the broker cannot bind its port again.
 */
const firstPort = 20_000;
const lastPort = 32_000;
const tries = 100;
const handshakeTimeoutMs = 1000;

/** Three ports that are free now. */
export async function chooseBrokerPorts(): Promise<BrokerPorts> {
  const ports = new Set<number>();
  for (let attempt = 0; attempt < tries && ports.size < 3; attempt += 1) {
    const port = randomInt(firstPort, lastPort);
    if (await isFree(port)) ports.add(port);
  }
  const [amqp, epmd, distribution] = ports;
  if (amqp === undefined || epmd === undefined || distribution === undefined) {
    throw new Error(`No three free ports between ${firstPort} and ${lastPort}.`);
  }
  return { amqp, epmd, distribution };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
      .once("error", () => resolve(false))
      .listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** True when the server on this port answers the AMQP header with a method frame: an open port is not enough. */
export function answersAmqp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("AMQP\x00\x00\x09\x01"));
    const finish = (answers: boolean) => {
      resolve(answers);
      socket.destroy();
    };
    socket
      .once("data", (bytes) => finish(bytes[0] === 1))
      .once("error", () => finish(false))
      .once("close", () => finish(false))
      .setTimeout(handshakeTimeoutMs, () => finish(false));
  });
}
