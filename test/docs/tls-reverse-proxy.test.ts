/**
 * Test of docs/tasks/tls-reverse-proxy.md with a real nginx: every kind of call goes through the page's
 * configuration.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noCleanRoot } from "../support/clean-root.ts";
import { type PageStep, runOnPageHost } from "./page-host.ts";
import { holdAGuest, reverseProxySteps } from "./reverse-proxy.ts";

/** The log is read while the job runs: its script waits until its first output has arrived. */
const followedLog = `id=$(solstice enqueue --no-repo --json --script 'echo early; until [ -e /root/go ]; do sleep 0.05; done; echo late' |
  grep -o '"id": *"[a-z0-9]*' | head -n 1 | grep -o '[a-z0-9]*$')
timeout 60 solstice logs --follow "$id" >followed &
timeout 20 sh -c 'until grep -q early followed; do sleep 0.05; done'
touch go
wait $!
cat followed`;

const keptFile = `cat >job.yaml <<END
script: head -c 12000000 /dev/urandom >big && sha256sum big
artifacts: [{ paths: [big] }]
END
solstice enqueue --no-repo --file job.yaml --wait | tee job.log
solstice artifacts get "$(sed -n 's/^Job \\([a-z0-9]*\\) succeeded.*/\\1/p' job.log)" -o fetched
(cd fetched && sha256sum big)`;

const grpcCall = `python3 - "$token" <<'END'
import grpc, sys
authority = grpc.ssl_channel_credentials(open("/etc/ssl/certs/ci.example.org.pem", "rb").read())
call = grpc.secure_channel("ci.example.org:443", authority).unary_unary("/solstice.v1.JobService/Capacity")
answer, ending = call.with_call(b"", metadata=[("authorization", "Bearer " + sys.argv[1])])
print(ending.code(), len(answer) > 20)
END`;

/** Runs curl with a path and options; prints the status below the response. */
function request(name: string, path: string, options = ""): PageStep {
  const always = `--silent --cacert /etc/ssl/certs/ci.example.org.pem --write-out '\\n%{http_code}\\n'`;
  return { name, commands: `curl ${always} ${options} https://ci.example.org${path}` };
}

const json = `--header 'content-type: application/json' --data '{}'`;
const withToken = `--header "authorization: Bearer $token"`;
const capacity = "/solstice.v1.JobService/Capacity";

test("every call works through nginx as the page configures it; foreign pages, strangers and runners are refused", {
  skip: noCleanRoot,
}, async (context) => {
  const step = await runOnPageHost(context, [
    ...reverseProxySteps(),
    { name: "follow", commands: followedLog },
    { name: "artifact", commands: keptFile },
    { name: "hold", commands: holdAGuest },
    { name: "shell", commands: `echo 'cat file; pwd | wc -l' | solstice shell "$held"` },
    { name: "long input", commands: `yes ': a line for a shell' | head -n 60000 | solstice shell "$held"` },
    { name: "grpc", commands: grpcCall },
    request("own page", capacity, `${json} ${withToken} --header 'origin: https://ci.example.org'`),
    request("foreign page", capacity, `${json} ${withToken} --header 'origin: https://evil.example'`),
    request("no token", capacity, json),
    request("runner", "/solstice.v1.RunnerService/Start", `${json} ${withToken}`),
    request("probe", "/readyz"),
  ]);
  assert.match(step("nginx"), /syntax is ok/);
  assert.match(step("user"), /^hello$[\s\S]*succeeded/m);
  assert.equal(step("follow"), "early\nlate");
  const digests = [...step("artifact").matchAll(/([0-9a-f]{64}) {2}big/g)].map(([, digest]) => digest);
  assert.equal(digests.length, 2, step("artifact"));
  assert.equal(digests[0], digests[1]);
  assert.equal(step("shell"), "left\n1");
  assert.equal(step("long input"), "");
  assert.equal(step("grpc"), "StatusCode.OK True");
  assert.match(step("own page"), /"apiUrl":"https:\/\/ci\.example\.org".*\n200$/);
  assert.match(step("foreign page"), /Pages of other sites may not call[\s\S]*\n401$/);
  assert.match(step("no token"), /This API requires a token[\s\S]*\n401$/);
  assert.match(step("runner"), /\n404$/);
  assert.match(step("probe"), /^\{"ready":true\}\s+200$/);
});
