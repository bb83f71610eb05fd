import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream";

/** A running git server. */
export interface GitServer {
  /** Base URL; a repository at `DIRECTORY/name.git` is at `URL/name.git`. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** The address of a git server; default: a free port of the loopback address. */
export interface GitServerOptions {
  readonly host?: string;
  readonly port?: number;
  /** Sets uploadpack.allowAnySHA1InWant: clients may fetch a commit by its hash without a ref. Default: true. */
  readonly allowAnyCommit?: boolean;
}

/** The longest header block from `git http-backend`, in bytes. */
const maxHeaderBytes = 64 * 1024;

/** Serves every repository below `directory` over HTTP, read-only, through `git http-backend`. */
export async function startGitServer(directory: string, options: GitServerOptions = {}): Promise<GitServer> {
  const host = options.host ?? "127.0.0.1";
  const server = createServer((request, response) => serve(directory, options, { request, response }));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return { url: `http://${host}:${port}`, port, close };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Serves one request as a CGI call (RFC 3875). */
function serve(directory: string, options: GitServerOptions, { request, response }: Exchange): void {
  const url = new URL(request.url ?? "/", "http://localhost");
  const config = options.allowAnyCommit === false ? "false" : "true";
  const child = spawn("git", ["-c", `uploadpack.allowAnySHA1InWant=${config}`, "http-backend"], {
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      HTTP_CONTENT_ENCODING: String(request.headers["content-encoding"] ?? ""),
      CONTENT_TYPE: String(request.headers["content-type"] ?? ""),
      CONTENT_LENGTH: String(request.headers["content-length"] ?? ""),
      REQUEST_METHOD: request.method ?? "GET",
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REMOTE_ADDR: request.socket.remoteAddress ?? "",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  child.on("error", () => response.writeHead(500).end());
  response.on("close", () => child.kill());
  pipeline(request, child.stdin, () => {});
  relay(child.stdout, response);
}

/** Converts the CGI response into an HTTP response: the header up to an empty line, then the body. */
function relay(output: NodeJS.ReadableStream, response: ServerResponse): void {
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0 && head.length <= maxHeaderBytes) return;
    output.off("data", onData);
    if (end < 0) return void response.writeHead(500).end();
    writeHead(response, head.subarray(0, end).toString("latin1"));
    response.write(head.subarray(end + 4));
    pipeline(output, response, () => {});
  };
  output.on("data", onData);
  output.once("end", () => {
    if (!response.headersSent) response.writeHead(500).end();
  });
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}
