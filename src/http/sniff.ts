import type { Socket } from "node:net";

/** The first bytes of an HTTP/2 connection (RFC 9113, section 3.4). No HTTP/1.1 request begins with them. */
const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\n");

/**
 * Reads enough of a new connection to detect its protocol, and puts the bytes back, so that the server of
 * that protocol reads them again. Null when the peer closed, or sent too little within `timeoutMs`; the
 * socket is then closed.
 */
export function detectProtocol(socket: Socket, timeoutMs: number): Promise<"http1" | "http2" | null> {
  let received = Buffer.alloc(0);
  return new Promise((resolve) => {
    const settle = (protocol: "http1" | "http2" | null) => {
      clearTimeout(timer);
      socket.off("data", onData).off("close", onClose);
      socket.pause();
      if (protocol === null) socket.destroy();
      else socket.unshift(received);
      resolve(protocol);
    };
    const onClose = () => settle(null);
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const length = Math.min(received.length, http2Preface.length);
      const matches = received.subarray(0, length).equals(http2Preface.subarray(0, length));
      if (!matches) settle("http1");
      else if (length === http2Preface.length) settle("http2");
    };
    const timer = setTimeout(onClose, timeoutMs);
    socket.on("data", onData).once("close", onClose);
  });
}
