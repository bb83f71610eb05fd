import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { runCommand } from "../host/command.ts";

/** A server of git repositories over smart HTTP, read-only. */
export interface GitServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** The longest header block that git's own program may answer with, in bytes. */
const maxHeadBytes = 64 * 1024;

/**
 * Serves the bare repositories below `root` to whoever reaches `host`, through git's own `http-backend`. Only fetching
 * works. Port 0 lets the kernel choose.
 */
export async function startGitServer(options: {
  root: string;
  host: string;
  port?: number;
}): Promise<GitServer> {
  const { stdout } = await runCommand("git", ["--exec-path"]);
  const backend = `${stdout.trim()}/git-http-backend`;
  const server = createServer((request, response) => serve(backend, options.root, { request, response }));
  server.listen(options.port ?? 0, options.host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${port}`,
    port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Runs one CGI request (RFC 3875): the request in the environment and on stdin, the answer on stdout. */
function serve(
  backend: string,
  root: string,
  call: { request: IncomingMessage; response: ServerResponse },
): void {
  const { request, response } = call;
  const url = new URL(request.url ?? "/", "http://localhost");
  const child = spawn(backend, [], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      // The repositories may belong to another user than this server; they are ours to serve all the same.
      GIT_CONFIG_COUNT: "2",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      // A job asks for a commit by its hash.
      GIT_CONFIG_KEY_1: "uploadpack.allowAnySHA1InWant",
      GIT_CONFIG_VALUE_1: "true",
      REQUEST_METHOD: request.method ?? "GET",
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      HTTP_GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      REMOTE_ADDR: request.socket.remoteAddress ?? "",
    },
  });
  child.on("error", () => response.destroy());
  child.stdin.on("error", () => {});
  request.pipe(child.stdin);
  response.on("close", () => child.kill());
  forwardAnswer(child.stdout, response);
}

function forwardAnswer(stdout: NodeJS.ReadableStream, response: ServerResponse): void {
  let head = Buffer.alloc(0);
  const onData = (data: Buffer) => {
    head = Buffer.concat([head, data]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) {
      if (head.length > maxHeadBytes) response.destroy();
      return;
    }
    stdout.off("data", onData);
    writeHead(head.toString("latin1", 0, end), response);
    response.write(head.subarray(end + 4));
    stdout.pipe(response);
  };
  stdout.on("data", onData);
  stdout.once("end", () => {
    if (!response.headersSent) response.writeHead(502).end();
  });
}

function writeHead(head: string, response: ServerResponse): void {
  const fields = head.split("\r\n").map((line) => line.split(/:\s*/, 2) as [string, string]);
  const status = fields.find(([name]) => name.toLowerCase() === "status")?.[1] ?? "200";
  for (const [name, value] of fields)
    if (name.toLowerCase() !== "status") response.setHeader(name, value ?? "");
  response.writeHead(Number.parseInt(status, 10));
}
