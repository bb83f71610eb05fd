import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Dispatch, LoggedCommand } from "./dispatch.ts";

/** The exit code by which `bin/command` recognises a killed command. */
const killed = -1;

/** Serves the programs of bin/: each call is a connection, which is closed when the program is killed. */
export async function serveCommands(directory: string, dispatch: Dispatch): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    void serve(socket, dispatch);
  });
  await once(server.listen(join(directory, "commands")), "listening");
  return server;
}

async function serve(socket: Socket, dispatch: Dispatch): Promise<void> {
  const [command = "", ...args] = await readWords(socket);
  const gone = new AbortController();
  socket.once("close", () => gone.abort());
  socket.end(packed(await dispatch(command, args, gone.signal)));
}

/** Reads a count of arguments, the command and its arguments, each ended by a NUL. */
function readWords(socket: Socket): Promise<string[]> {
  return new Promise((resolve) => {
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const [count, ...words] = text.split("\0");
      if (words.length > Number(count) + 1) resolve(words.slice(0, -1));
    });
  });
}

/** In the order in which `bin/command` unpacks it: the exit code, then the two outputs after their lengths. */
function packed({ exitCode, stdout, stderr }: LoggedCommand): Buffer {
  const code = Buffer.alloc(4);
  code.writeInt32LE(exitCode ?? killed);
  const parts = [stdout, stderr].flatMap((text) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(text));
    return [length, Buffer.from(text)];
  });
  return Buffer.concat([code, ...parts]);
}
