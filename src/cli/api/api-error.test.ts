import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { openTestStore, startTestUserServer } from "../../api/testing/fixture.ts";
import { JobService } from "../../gen/solstice/v1/jobs_pb.ts";
import { runCli } from "../testing/run-cli.ts";
import { fromApiError, isNotOurs } from "./api-error.ts";

/** A web server that sends the same response to each request. The test can change the response. */
async function startWebServer(t: TestContext) {
  const answer: { status: number; type: string; body: string | Buffer } = {
    status: 200,
    type: "text/html",
    body: "<html>",
  };
  const server = createServer((request, response) => {
    request.resume().once("end", () => {
      response.writeHead(answer.status, { "content-type": answer.type }).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { answer, port: (server.address() as AddressInfo).port };
}

const notSolstice = /^solstice: The server at \S+ is not a Solstice orchestrator\.\n.*--api-url/;

test("a server that is no orchestrator fails at once, also for a command that waits for a restart", async (t) => {
  const { answer, port } = await startWebServer(t);
  const env = { SOLSTICE_API_URL: `http://127.0.0.1:${port}` };
  for (const change of [
    { status: 200 },
    { status: 404 },
    { status: 405 },
    { status: 501 },
    { status: 200, type: "application/json", body: "{}" },
    { status: 404, type: "application/json", body: '{"code":"not_found","message":"x"}' },
    { status: 500, type: "application/json", body: "{}" },
  ]) {
    Object.assign(answer, { type: "text/html", body: "<html>" }, change);
    for (const line of ["capacity", "logs -f 7k3m9x"]) {
      const { code, stderr } = await runCli(line.split(" "), { env });
      assert.match(stderr, notSolstice, JSON.stringify(change));
      assert.equal(code, 69);
    }
  }
});

test("an answer that ends in the middle is a broken connection, which is worth a retry, and no mistake of the caller", async (t) => {
  const { answer, port } = await startWebServer(t);
  const apiUrl = `http://127.0.0.1:${port}`;
  const client = createClient(JobService, createConnectTransport({ baseUrl: apiUrl, httpVersion: "1.1" }));
  // An envelope begins with a byte of flags and four bytes of length. The bodies: empty, a part of an envelope, an incomplete content.
  for (const body of [Buffer.alloc(0), Buffer.from([0, 0]), Buffer.from([0, 0, 0, 0, 9, 1])]) {
    Object.assign(answer, { status: 200, type: "application/connect+proto", body });
    const read = async () => {
      for await (const _ of client.logs({ jobId: "7k3m9x" }));
    };
    const error = fromApiError(await read().catch((thrown: unknown) => thrown), apiUrl);
    assert.deepEqual(
      [error.code, isNotOurs(error)],
      ["unavailable", false],
      `${body.length}: ${error.message}`,
    );
    assert.match(error.message, /cannot be reached/);
  }
});

test("an orchestrator's address with an extra path is not accepted as an orchestrator", async (t) => {
  const { url } = await startTestUserServer(t, { store: await openTestStore(t) });
  const { code, stderr } = await runCli(["jobs"], { env: { SOLSTICE_API_URL: `${url}/api` } });
  assert.match(stderr, notSolstice);
  assert.equal(code, 69);
});

test("no command prints the password of the API's URL, with any server at that URL", async (t) => {
  const { url } = await startTestUserServer(t, {
    store: await openTestStore(t),
    describeHost: async () => ({ hostId: "host-a", dataDir: "/d", imageMapPath: "/m", backend: "noop" }),
  });
  const { port } = await startWebServer(t);
  const places = [url.replace("//", "//user:s3cret@"), `http://user:s3cret@127.0.0.1:${port}`];
  const wrong = [
    "http://user:s3cret@127.0.0.1:1",
    "http://user:s3cret@127.0.0.1:99999",
    "htp://user:s3cret@x",
  ];
  for (const place of [...places, ...wrong]) {
    const env = { SOLSTICE_API_URL: place, SOLSTICE_DATA_DIR: "/nonexistent" };
    for (const line of ["capacity", "capacity --json", "images", "images --json", "jobs x", "shell x"]) {
      const { stdout, stderr } = await runCli(line.split(" "), { env });
      assert.notEqual(stdout + stderr, "");
      assert.ok(!`${stdout}${stderr}`.includes("s3cret"), `${place} ${line}: ${stdout}${stderr}`);
    }
  }
});
