import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import { prepareImage } from "../prepare/prepare-image.ts";
import { imageDefinition, noise, recordingContext, temporaryFolder } from "../testing/fixtures.ts";

const content = noise(12_000_000);
const published = zstdCompressSync(content);

/** Starts a server that closes the connection after each answer, as `python3 -m http.server` does. */
async function startClosingServer(t: TestContext, head: string): Promise<string> {
  const answer = (socket: Socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(`${head}\r\n\r\n`);
      socket.end(published);
    });
  };
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.raw.zst`;
}

for (const [what, head] of [
  ["HTTP/1.0 without a length", "HTTP/1.0 200 OK"],
  ["HTTP/1.0 with a length", `HTTP/1.0 200 OK\r\nContent-Length: ${published.length}`],
  [
    "HTTP/1.1 with Connection: close",
    `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${published.length}`,
  ],
] as const) {
  test(`six images at once from a server that closes after each answer: ${what}`, async (t) => {
    const source = await startClosingServer(t, head);
    const folder = temporaryFolder(t);
    const paths = Array.from({ length: 6 }, (_, at) => join(folder, "images", `disk-${at}.img`));
    const context = recordingContext(folder);
    const prepare = (localPath: string) =>
      prepareImage(imageDefinition({ localPath, source, decompress: "zstd" }), context);
    await Promise.all(paths.map(prepare));
    for (const path of paths) assert.ok(readFileSync(path).equals(content), path);
  });
}
