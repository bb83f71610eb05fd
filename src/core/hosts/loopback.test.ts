import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback } from "./loopback.ts";

test("localhost, ::1 and 127.0.0.0/8 are loopback, in every notation", () => {
  for (const host of [
    "localhost",
    "LOCALHOST",
    "::1",
    "[::1]",
    "127.0.0.1",
    "127.255.3.4",
    "::ffff:127.0.0.1",
  ])
    assert.equal(isLoopback(host), true, host);
});

test("other addresses, and names that only look like loopback, are not", () => {
  for (const host of [
    "",
    "0.0.0.0",
    "::",
    "10.127.0.1",
    "127.0.0.1.example.com",
    "127.example.com",
    "127.1.evil",
    "localhost.example.com",
    "::ffff:10.0.0.1",
    "::2",
  ])
    assert.equal(isLoopback(host), false, host);
});
