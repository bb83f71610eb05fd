/**
 * docs/reference/runner-protocol.md agrees with the code: the numbers, methods, codes and variables in the
 * page are compared with the code.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { runnerConnectionLimits } from "../api/server.ts";
import { type ErrorCode, SolsticeError } from "../core/errors.ts";
import { RunnerService } from "../gen/solstice/v1/runner_pb.ts";
import { toConnectError } from "../http/errors.ts";
import { runnerLimits } from "./runner-service.ts";

const page = readFileSync(new URL("../../docs/reference/runner-protocol.md", import.meta.url), "utf8");

/** The first cells of the table under a heading row that begins with `first`. */
function rowsOf(first: string): string[][] {
  const lines = page.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${first} |`));
  assert.ok(start >= 0, first);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith("|")) break;
    rows.push(
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

test("the page lists every method, and no other", () => {
  const names = rowsOf("method").map(([name]) => name?.replaceAll("`", ""));
  assert.deepEqual(
    names,
    RunnerService.methods.map((method) => method.name),
  );
});

test("each of our codes maps to the gRPC and HTTP codes of the page", () => {
  for (const [grpc = "", connect = "", ours = ""] of rowsOf("gRPC | Connect, HTTP")) {
    // A call refused because of its method name has no handler, so it has no error of ours.
    if (grpc === "`UNIMPLEMENTED`") continue;
    for (const [, code] of ours.matchAll(/`(\w+)`/g)) {
      const error = toConnectError(new SolsticeError(code as ErrorCode, ""));
      assert.equal(grpc, `\`${Code[error.code].replace(/(?<!^)[A-Z]/g, "_$&").toUpperCase()}\``);
      assert.match(connect, new RegExp(`${codeToHttpStatus(error.code)}$`), code);
    }
  }
});

test("the documented limits of a call are those of the code", () => {
  const documented = [...page.matchAll(/<!-- limit:(\w+) -->(\d+)/g)].map(([, name, value]) => [
    name,
    Number(value),
  ]);
  assert.equal(documented.length, 5);
  for (const [name, value] of documented)
    assert.equal(value, runnerLimits[name as keyof typeof runnerLimits], String(name));
});

test("the documented limits of the endpoint are those of the code", () => {
  const limits = runnerConnectionLimits;
  const documented = rowsOf("what").map(([, value]) => Number.parseInt(value ?? "", 10));
  assert.deepEqual(documented, [
    limits.maxConnectionsPerAddress,
    limits.maxInFlightPerAddress,
    4,
    limits.maxStreamsPerConnection,
    2,
    limits.maxHeaderBytes / 1024,
    limits.headersTimeoutMs / 1000,
    limits.bodyTimeoutMs / 1000,
    limits.stallTimeoutMs / 1000,
    limits.idleTimeoutMs / 1000,
  ]);
});
