import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { request } from "undici";
import { errorText } from "../errors.ts";
import { networkProblem } from "./network-problem.ts";

const thrownBy = (action: () => Promise<unknown>) =>
  action().then(
    () => assert.fail("it did not fail"),
    (error: unknown) => error,
  );

test("a refused connection is described with the address and the code, for any client", async () => {
  const raw = thrownBy(() => new Promise((_, reject) => connect(1, "127.0.0.1").on("error", reject)));
  for (const error of [await raw, await thrownBy(() => request("http://127.0.0.1:1/"))]) {
    assert.match(
      networkProblem(error) ?? "",
      /The connection to 127\.0\.0\.1:1 was refused: no program listens there \(ECONNREFUSED\)\.$/,
    );
  }
});

test("a name that does not exist is described with the name", async () => {
  const error = await thrownBy(() => request("http://nothing.invalid/"));
  assert.match(errorText(error), /^The name nothing\.invalid (does not exist in DNS|could not be resolved)/);
  assert.doesNotMatch(errorText(error), /getaddrinfo/);
});

test("errors of certificates and time limits get our texts; errors of other kinds keep theirs", () => {
  for (const [code, words] of [
    ["CERT_HAS_EXPIRED", /has expired, or this machine's clock is wrong/],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", /self-signed/],
    ["ERR_TLS_CERT_ALTNAME_INVALID", /is for other names/],
    ["UND_ERR_CONNECT_TIMEOUT", /firewall/],
    ["UND_ERR_HEADERS_TIMEOUT", /is open, but no answer arrived in time/],
    ["EAI_AGAIN", /no DNS server answers/],
  ] as const) {
    const error = new Error("outer", {
      cause: Object.assign(new Error("inner"), { code, host: "h.example" }),
    });
    assert.match(networkProblem(error) ?? "", words);
    assert.ok(networkProblem(error)?.includes("h.example"), code);
  }
  const endless: { cause?: unknown } = {};
  endless.cause = endless;
  for (const error of [
    new Error("x"),
    Object.assign(new Error("x"), { code: "ENOENT" }),
    null,
    "text",
    endless,
  ]) {
    assert.equal(networkProblem(error), null);
  }
  assert.equal(errorText(Object.assign(new Error("no such file"), { code: "ENOENT" })), "no such file");
});
