import type { Socket } from "node:net";

/** How an HTTP/2 connection begins (RFC 9113, section 3.4). No HTTP/1.1 request begins like this. */
const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\n");

/**
 * Reads just enough of a new connection to know its protocol, and puts it back, so that the server it is handed to reads
 * it again. Null when the peer left, or said too little within `timeoutMs`; the socket is closed then.
 */
export function detectProtocol(socket: Socket, timeoutMs: number): Promise<"http1" | "http2" | null> {
  let seen = Buffer.alloc(0);
  return new Promise((resolve) => {
    const settle = (protocol: "http1" | "http2" | null) => {
      clearTimeout(timer);
      socket.off("data", onData).off("close", onClose);
      socket.pause();
      if (protocol === null) socket.destroy();
      else socket.unshift(seen);
      resolve(protocol);
    };
    const onClose = () => settle(null);
    const onData = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      const length = Math.min(seen.length, http2Preface.length);
      const matches = seen.subarray(0, length).equals(http2Preface.subarray(0, length));
      if (!matches) settle("http1");
      else if (length === http2Preface.length) settle("http2");
    };
    const timer = setTimeout(onClose, timeoutMs);
    socket.on("data", onData).once("close", onClose);
  });
}
