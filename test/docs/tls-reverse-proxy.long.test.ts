/**
 * Test of docs/tasks/tls-reverse-proxy.md: streams without data for longer than the default timeout of nginx, 60
 * seconds.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noCleanRoot } from "../support/clean-root.ts";
import { runOnPageHost } from "./page-host.ts";
import { holdAGuest, reverseProxySteps } from "./reverse-proxy.ts";

const silentSeconds = 75;

/** Uses the API directly, because a client would open the stream again. */
const silentLog = `id=$(solstice enqueue --no-repo --json --script 'sleep ${silentSeconds}; echo late' |
  grep -o '"id": *"[a-z0-9]*' | head -n 1 | grep -o '[a-z0-9]*$')
python3 - "$token" "$id" >followed 2>&1 <<'END' &
import grpc, sys
authority = grpc.ssl_channel_credentials(open("/etc/ssl/certs/ci.example.org.pem", "rb").read())
call = grpc.secure_channel("ci.example.org:443", authority).unary_stream("/solstice.v1.JobService/Logs")
name = sys.argv[2].encode()
request = b"\\x0a" + bytes([len(name)]) + name + b"\\x20\\x01"
for chunk in call(request, metadata=[("authorization", "Bearer " + sys.argv[1])]):
    print(chunk)
END
follower=$!`;

test("a followed log and a shell may be silent for longer than a minute", {
  skip: noCleanRoot,
}, async (context) => {
  const steps = [
    ...reverseProxySteps(),
    { name: "hold", commands: holdAGuest },
    { name: "log begins", commands: silentLog },
    { name: "shell", commands: `(sleep ${silentSeconds}; echo 'cat file') | solstice shell "$held"` },
    { name: "log", commands: "wait $follower\ncat followed" },
  ];
  const step = await runOnPageHost(context, steps, { timeoutMs: 240_000 });
  assert.equal(step("shell"), "left");
  assert.match(step("log"), /late/);
});
