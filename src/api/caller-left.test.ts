import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { until } from "../../test/support/until.ts";
import { JobService } from "../gen/solstice/v1/jobs_pb.ts";
import {
  insertTestJob,
  MemoryLog,
  openTestStore,
  startTestRunnerServer,
  startTestUserServer,
} from "./testing/fixture.ts";

test("a caller that disconnects is not logged as an error, in any call", async (t) => {
  const store = await openTestStore(t);
  const log = new MemoryLog();
  let explaining = 0;
  let left = 0;
  const explain = () => {
    explaining += 1;
    return new Promise<never>((_, reject) => {
      setTimeout(() => {
        left += 1;
        reject(new DOMException("This operation was aborted", "AbortError"));
      }, 200);
    });
  };
  const server = await startTestUserServer(t, { store, log, explain });
  const runner = await startTestRunnerServer(t, { store, log });
  const { id: jobId } = await insertTestJob(store);
  const transports = [
    createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" }),
    createConnectTransport({ baseUrl: server.url, httpVersion: "2" }),
    createGrpcTransport({ baseUrl: server.url }),
  ];
  for (const transport of transports) {
    const client = createClient(JobService, transport);
    const abort = new AbortController();
    const options = { signal: abort.signal };
    const watch = client.watch({ jobId }, options)[Symbol.asyncIterator]();
    await watch.next();
    const follow = client.logs({ jobId, follow: true }, options)[Symbol.asyncIterator]();
    const before = explaining;
    const pending = [watch.next(), follow.next(), client.explain({ jobId }, options)];
    const settled = Promise.allSettled(pending);
    await until("the call has arrived", () => explaining > before);
    abort.abort();
    await settled;
  }
  for (const { port } of [server, runner]) {
    const socket = connect(port, "127.0.0.1");
    const head =
      "POST /solstice.v1.JobService/Get HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    await new Promise<void>((resolve) => socket.write(head, () => resolve()));
    socket.resetAndDestroy();
  }
  await until("each call has failed", () => left === transports.length);
  await server.close();
  await runner.close();
  const reported = log.lines.filter(({ level }) => level === "error" || level === "warn");
  assert.deepEqual(reported, []);
});
