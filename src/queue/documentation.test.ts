import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { jobRequestSchema, parseJobRequest, unknownRequestKeys } from "../core/request/job-request.ts";
import { resultRoutingKey, topologyOf } from "./connection/topology.ts";
import { deadLetterEnvelope, type Refusal } from "./intake/dead-letter.ts";

const page = readFileSync(new URL("../../docs/reference/messages.md", import.meta.url), "utf8");

test("the request of docs/reference/messages.md is valid, and every field of a request is documented", () => {
  const text = /<!-- request-example.*?```json\n(.*?)```/s.exec(page)?.[1] ?? "";
  const example: unknown = JSON.parse(text);
  assert.ok(typeof example === "object" && example);
  parseJobRequest(example);
  assert.deepEqual(unknownRequestKeys(example), []);
  for (const field of Object.keys(jobRequestSchema.shape)) assert.ok(page.includes(`\`${field}\``), field);
});

test("docs/reference/messages.md names every field of a result", () => {
  const source = readFileSync(new URL("../core/job/job-result.ts", import.meta.url), "utf8");
  const fields =
    /export interface JobResult \{(.*?)\n\}/s.exec(source)?.[1]?.matchAll(/readonly (\w+):/g) ?? [];
  const names = [...fields].map(([, name]) => name);
  assert.ok(names.length > 20);
  for (const name of names) assert.ok(page.includes(`\`${name}\``), name);
});

test("docs/reference/messages.md names every exchange, queue and header", () => {
  const { exchanges, queues } = topologyOf({
    exchange: "solstice.jobs",
    queue: "solstice.jobs.v1",
    routingKey: "job.request",
  });
  const names = [
    ...exchanges.map(({ exchange }) => exchange),
    ...queues.map(({ queue }) => queue),
    resultRoutingKey,
  ];
  const refusal = {
    message: {},
    outcome: { code: "usage", message: "" },
    at: new Date(0),
  } as unknown as Refusal;
  const headers = Object.keys(deadLetterEnvelope("", refusal).headers ?? {});
  for (const name of [...names, ...headers]) assert.ok(page.includes(`\`${name}\``), name);
});
